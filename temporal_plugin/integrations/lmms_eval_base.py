"""What our model classes of lmms-eval share: chats, frames, failures and batches.

They show the model the prompt, frames and times that our training shows it, as all use
`video.source.open_source` and `Frames.metadata`.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms
from loguru import logger
from tqdm import tqdm
from transformers import AutoConfig, AutoProcessor

from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.spans import Span
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.source import open_source

FAMILIES = ("qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
#: settings of `Sampling` that are arguments of our model classes
SAMPLING_ARGUMENTS = frozenset(Sampling.__dataclass_fields__)


@dataclass(frozen=True)
class Question:
    """One request: its place among all, its chat and its generation settings."""

    index: int
    messages: list[dict]
    generation: dict[str, Any]
    video: str | None
    clip: Span | None


class VideoModel(lmms):
    """Answers the chat requests of lmms-eval in batches; a subclass encodes and generates.

    Args:
        pretrained: folder or hub name of a Qwen2.5-VL or Qwen3-VL checkpoint.
        batch_size: questions answered at once.
        workers: threads that decode and encode the next batch while this one is answered.
        frame_store: folder of the frame store; TEMPORAL_PLUGIN_FRAME_STORE where not given.
        sampling: the settings of `Sampling`.

    A video that cannot be read makes its own question answer "" and count as a failed request.

    Raises:
        ValueError: another family of model, a wrong batch size or sampling setting.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str,
        *,
        batch_size: int | str,
        workers: int,
        frame_store: str | None,
        sampling: dict[str, Any],
    ) -> None:
        super().__init__()
        self.sampling = Sampling.from_mapping(sampling)
        self.batch_size = _batch_size(batch_size)
        self.workers = max(1, int(workers))
        self.config = AutoConfig.from_pretrained(pretrained)
        if self.config.model_type not in FAMILIES:
            raise ValueError(
                f"{pretrained} is a {self.config.model_type} model; this class knows "
                f"{', '.join(FAMILIES)}. Our tasks also run with lmms-eval's own model classes"
            )
        self.patch_size = self.config.vision_config.patch_size
        self.load_frames = open_source(frame_store)
        self.processor = AutoProcessor.from_pretrained(pretrained)
        self.tokenizer = self.processor.tokenizer
        # as in training's rollout: no video stands behind a placeholder that the model writes
        self.forbidden = [self.processor.image_token_id, self.processor.video_token_id]

    @abstractmethod
    def encode(self, messages: list[dict], frames: Frames) -> dict[str, Any]:
        """What `answer` takes of one question; called in a worker thread."""

    @abstractmethod
    def answer(self, rows: list[dict], generation: dict[str, Any]) -> list[GenerationResult]:
        """The answers to encoded questions that share their generation settings."""

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """One answer per request, in order."""
        questions = [self._question(index, request) for index, request in enumerate(requests)]
        answers: list[GenerationResult] = [GenerationResult(text="")] * len(requests)
        batches = list(_batches(questions, self.batch_size))
        with (
            ThreadPoolExecutor(self.workers, thread_name_prefix="encode-videos") as pool,
            tqdm(total=len(requests), disable=self.rank != 0, desc="Answering") as bar,
        ):
            for batch, rows in self._encoded(batches, pool):
                ready = [(question, row) for question, row in zip(batch, rows, strict=True) if row]
                if ready:
                    found = self.answer([row for _, row in ready], batch[0].generation)
                    for (question, _), answer in zip(ready, found, strict=True):
                        answers[question.index] = answer
                bar.update(len(batch))
        return answers

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Not offered: a grounding question has one round."""
        raise NotImplementedError(f"{type(self).__name__} answers one round (generate_until)")

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not offered: grounding tasks generate."""
        raise NotImplementedError(f"{type(self).__name__} generates only (generate_until)")

    def _question(self, index: int, request: Instance) -> Question:
        _, doc_to_messages, generation, doc_id, task, split = request.args
        messages = copy.deepcopy(doc_to_messages(self.task_dict[task][split][doc_id]))
        videos = [part for chat in messages for part in chat["content"] if part["type"] == "video"]
        if len(videos) > 1:
            raise ValueError(f"task {task} asks about {len(videos)} videos at once; allowed: one")
        entry = videos[0] if videos else {}
        clip = None
        if entry.get("end_time") is not None:
            clip = Span(entry.get("start_time") or 0.0, entry["end_time"])
        return Question(index, messages, generation, entry.get("url"), clip)

    def _encoded(
        self, batches: Sequence[list[Question]], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[list[Question], list[dict | None]]]:
        """Each batch with its encoded rows, the next batch being encoded meanwhile."""
        waiting: list[list[Future]] = []
        for number, batch in enumerate(batches):
            if number == 0:
                waiting = [[pool.submit(self._encode, question) for question in batch]]
            if number + 1 < len(batches):
                waiting.append([pool.submit(self._encode, item) for item in batches[number + 1]])
            yield batch, [row.result() for row in waiting.pop(0)]

    def _encode(self, question: Question) -> dict | None:
        """Model inputs of a question, None where its video cannot be read."""
        if question.video is None:  # left out by the task: already known as failed
            return None
        try:
            frames = self.load_frames(
                question.video, self.sampling, clip=question.clip, patch_size=self.patch_size
            )
        except ValueError as error:  # VideoError, and pictures of a shape beyond all limits
            logger.error(f"a question goes unanswered: {error}")
            failures.record(question.video, str(error))
            return None
        return self.encode(question.messages, frames)


def split_sampling(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Model arguments as (settings of `Sampling`, the rest)."""
    sampling = {name: arguments[name] for name in arguments if name in SAMPLING_ARGUMENTS}
    if sampling.get("fps") is not None:
        sampling["fps"] = float(sampling["fps"])
    return sampling, {name: arguments[name] for name in arguments if name not in sampling}


def _batches(questions: Sequence[Question], size: int) -> Iterator[list[Question]]:
    """Batches of equal generation settings, questions about one video together."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(repr(sorted(question.generation.items())), []).append(question)
    for group in groups.values():
        group.sort(key=lambda question: (question.video or "", question.index))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _batch_size(value: int | str) -> int:
    if str(value).isdigit() and int(value) > 0:
        return int(value)
    raise ValueError(f"--batch_size is {value!r}; allowed: a whole number from 1")
