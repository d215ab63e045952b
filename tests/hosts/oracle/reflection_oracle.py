"""A model class of lmms-eval that knows the truth and answers with what of it is shown.

It is below `VideoModel`, so that chats, masks, frames, batches and resuming are the real ones; only
the weights are missing. `reflection_oracle.dist-info` beside it is what an installed plugin leaves.
"""

import json
import time
from pathlib import Path

from lmms_eval.api.instance import GenerationResult
from lmms_eval.models.registry_v2 import ModelManifest

from temporal_plugin.curation.boundary_reflection import without
from temporal_plugin.integrations.lmms_eval_base import VideoModel, split_sampling
from temporal_plugin.spans import Span
from temporal_plugin.video.timing import FRAMES_PER_STEP

MANIFEST = ModelManifest("reflection_oracle", chat_class_path="reflection_oracle.Oracle")
FORMS = ("<answer>{}</answer>", "{}", "The moments are:\n```json\n{}\n```")
MISTAKES = ("somewhere near the end", "[[9, 3]]", "[]", "<answer>[[0.0, 1000.0]]</answer>", "")


class Oracle(VideoModel):
    """Names the occurrences of `truth` (a JSONL with id and occurrences) that it is shown.

    Args:
        noise: of every three answers to a question one is wrong or cannot be read.
        wait: seconds before each answer.
    """

    applies_masks = True

    def __init__(self, truth, noise=False, wait=0.0, batch_size=1, device=None, **arguments):
        sampling, unknown = split_sampling(arguments)
        super().__init__(
            sampling=sampling | {n: v for n, v in unknown.items() if n != "max_batch_size"},
            patch_size=14, batch_size=batch_size, workers=1, frame_store=None, resume=None,
        )  # fmt: skip
        lines = Path(truth).read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        self.truth = {row["id"]: [Span(*pair) for pair in row["occurrences"]] for row in rows}
        self.noise, self.wait = str(noise).lower() in ("true", "1"), float(wait)

    def identity(self):
        return {"noise": self.noise}

    def prepare(self, question, frames):
        number = int(question.key.rpartition("-")[2])  # the how manieth answer to this question
        if self.noise and number % 3 == 0:
            return MISTAKES[sum(map(ord, question.document["id"])) % len(MISTAKES)]
        if question.mask is None:
            shown = [Span(0.0, 1e6)]
        else:
            assert len(frames) % FRAMES_PER_STEP == 0 and question.mask.mode == "drop"
            length = FRAMES_PER_STEP / self.sampling.fps
            starts = frames.pts_seconds[::FRAMES_PER_STEP]
            shown = [Span(float(start), float(start) + length) for start in starts]
        occurrences = self.truth[question.document["id"]]
        seen = without(occurrences, without([Span(0.0, 1e6)], shown))
        pairs = [[span.start_seconds, span.end_seconds] for span in seen]
        if question.mask is None:  # the difficulty task asks for "start to end"
            return f"<answer>{' and '.join(f'{start} to {end}' for start, end in pairs)}</answer>"
        return FORMS[number % len(FORMS)].format(json.dumps(pairs))

    def answer(self, rows, generation):
        time.sleep(self.wait * len(rows))
        return [GenerationResult(text=text) for text in rows]
