"""A tiny model that answers boundary reflection's prompt, trained from the demo's cold start.

It learns from clips whose annotation is complete. With the event hidden, or with the query of
another clip, nothing is to be found; with another part hidden the event is. So it never sees an
event that happens twice.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from temporal_plugin import answers, prompts
from temporal_plugin.demo import cold_start
from temporal_plugin.demo.clips import COLOURS
from temporal_plugin.demo.cold_start import Row
from temporal_plugin.demo.settings import DemoSettings
from temporal_plugin.demo.tiny_model import VOCABULARY_MULTIPLE
from temporal_plugin.spans import Span, iou

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: shares of the rows whose event is hidden, and of those whose query's colour is not in the clip;
#: without the latter a model learns that whatever acts while little is hidden is the event
HIDDEN_SHARE, ABSENT_SHARE = 0.35, 0.2
LONGEST_HIDDEN_SECONDS = 4
#: the learning rate falls to this share of itself, in the second half of the batches
LAST_RATE = 0.05
#: more than `<answer>[[2.00, 4.00], [5.00, 8.00]]</answer>` has
MAX_ANSWER_TOKENS = 48


def question(
    row: Row, strangers: Sequence[Row], generator: random.Random
) -> tuple[Row, Span, list[Span]]:
    """A question, the span to hide from it, and what is then left to be found.

    Args:
        row: a completely annotated row.
        strangers: rows whose queries name nothing in the row's clip; may be none.
        generator: decides.
    """
    draw = generator.random()
    if draw < HIDDEN_SHARE:
        return row, row.truth, []
    hidden = elsewhere(row, generator)
    if draw < HIDDEN_SHARE + ABSENT_SHARE and strangers:
        other = generator.choice(strangers)
        pixels = row.inputs["pixel_values_videos"]
        inputs = {**other.inputs, "pixel_values_videos": pixels}
        return dataclasses.replace(other, inputs=inputs), hidden, []
    return row, hidden, [row.truth]


def colours(text: str) -> set[str]:
    """The colours that a query names."""
    return set(COLOURS) & set(text.split())


def strangers_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """By video: the rows whose queries' colours act nowhere in it."""
    there: dict[str, set[str]] = {}
    for row in rows:
        there.setdefault(row.sample.video, set()).update(colours(row.sample.query))
    return {
        video: [row for row in rows if not colours(row.sample.query) & found]
        for video, found in there.items()
    }


def elsewhere(row: Row, generator: random.Random) -> Span:
    """A span of 1 to 4 whole seconds that the row's event leaves free."""
    truth, seconds = row.truth, int(row.sample.duration)
    spans = [
        Span(float(start), float(start + length))
        for length in range(1, LONGEST_HIDDEN_SECONDS + 1)
        for start in range(seconds - length + 1)
        if start + length <= truth.start_seconds or truth.end_seconds <= start
    ]
    return generator.choice(spans)


@dataclasses.dataclass(frozen=True)
class Hiding:
    """Hides steps of encoded rows as the mask `outside` with the mode `blank` does it to frames.

    Attributes:
        pts_seconds: float64 [T], the frames' times; those of all clips are equal.
        black: float32 [patches of a step, values of a patch], two black frames as patches.
    """

    pts_seconds: np.ndarray
    black: torch.Tensor

    @classmethod
    def of(cls, row: Row, processor: Any, settings: DemoSettings) -> Hiding:
        """That of the row's clip and of all clips of its settings."""
        from temporal_plugin.video.decode import load_frames
        from temporal_plugin.video.model_inputs import encode
        from temporal_plugin.video.sampling import Sampling

        sampling = Sampling(**settings.sampling())
        frames = load_frames(row.sample.video, sampling, patch_size=settings.patch_size)
        dark = dataclasses.replace(frames, pixels=frames.pixels * 0)
        messages = [{"role": "user", "content": [{"type": "video"}]}]
        patches = encode(processor, messages, [dark])["pixel_values_videos"]
        steps = int(row.inputs["video_grid_thw"][0, 0])
        return cls(frames.pts_seconds, patches[: len(patches) // steps])

    def apply(self, row: Row, span: Span) -> Row:
        """The row with black in each temporal step that touches `span`; `row` stays as it is."""
        from temporal_plugin.video.masking import touching

        pixels = row.inputs["pixel_values_videos"].clone()
        # [steps * patches of a step, values] -> [steps, patches of a step, values]
        by_step = pixels.view(-1, *self.black.shape)
        by_step[touching(self.pts_seconds, [span])] = self.black
        return dataclasses.replace(row, inputs={**row.inputs, "pixel_values_videos": pixels})


def learn_sentences(model: Any, tokenizer: Any, template: str) -> None:
    """Makes the fixed parts of a prompt single tokens, as those of the demo's own prompt are."""
    from tokenizers import AddedToken

    parts = [part for part in re.split(r"\{\w+\}", template) if len(part.split()) > 2]
    tokenizer.add_tokens([AddedToken(part, special=False, normalized=False) for part in parts])
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=VOCABULARY_MULTIPLE)


def run(
    settings: DemoSettings, start_dir: Path, out: Path, prompt: str, count: int
) -> dict[str, float]:
    """Trains the model of `start_dir` to answer `prompt` and saves it to `out`.

    Args:
        settings: clips are read from `settings.clips_dir`, batch size and learning rate from
            `settings.cold_start`.
        start_dir: folder of the cold-started model.
        out: folder of the trained model; also gets `curator.jsonl`, one line per evaluation.
        prompt: name of a prompt whose contract takes a list of spans, empty ones too.
        count: batches.

    Returns:
        The last evaluation: batches, seconds, loss, and of the validation clips the share whose
        greedy answer is right with the event hidden (`nothing`) and with another part hidden
        (`found`, from IoU 0.5 on).
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from temporal_plugin.annotations import load_samples
    from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions

    fix_qwen2_5_vl_positions()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    processor = AutoProcessor.from_pretrained(start_dir)
    model = AutoModelForImageTextToText.from_pretrained(start_dir, dtype=torch.float32)
    learn_sentences(model, processor.tokenizer, prompts.load(prompt).user)
    asking = dataclasses.replace(settings, prompt=prompt)
    train, validation = (
        cold_start.encode_samples(
            load_samples(settings.clips_dir / f"{split}.jsonl"), processor, asking
        )
        for split in ("train", "validation")
    )
    out.mkdir(parents=True, exist_ok=True)
    result = _train(model, processor, train, validation, asking, count, out / "curator.jsonl")
    prompts.write_record(out, prompts.load(prompt))
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return result


def _train(
    model: Any,
    processor: Any,
    train: Sequence[Row],
    validation: Sequence[Row],
    settings: DemoSettings,
    count: int,
    log_path: Path,
) -> dict[str, float]:
    import torch

    cold, contract = settings.cold_start, prompts.load(settings.prompt).contract
    hiding = Hiding.of(train[0], processor, settings)
    generator, strangers = random.Random(settings.seed), strangers_of(train)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cold.learning_rate, weight_decay=cold.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda batch: min(
            (batch + 1) / cold.warmup_batches, 1.0, LAST_RATE + 2 * (1 - batch / count)
        ),
    )

    def row_of(index: int) -> dict[str, torch.Tensor]:
        row = cold_start.rolled(train[index], generator)
        row, span, found = question(row, strangers[row.sample.video], generator)
        text = answers.render(contract, spans=found)
        return cold_start.with_text(hiding.apply(row, span), text, processor.tokenizer)

    began, record = time.monotonic(), {}
    model.train()
    with log_path.open("w", encoding="utf-8") as log:
        picks = cold_start.batches(len(train), cold.batch_size, settings.seed)
        for number, picked in zip(range(1, count + 1), picks, strict=False):
            batch = [row_of(index) for index in picked]
            loss = cold_start.train_batch(model, optimizer, batch, processor.tokenizer.pad_token_id)
            schedule.step()
            if number % cold.evaluate_every and number < count:
                continue
            record = {
                "batches": number,
                "seconds": round(time.monotonic() - began, 1),
                "loss": round(loss, 4),
                **check(model, processor, validation, hiding, contract),
            }
            log.write(json.dumps(record) + "\n")
            log.flush()
            logger.info("curator: %s", record)
    return record


def check(
    model: Any, processor: Any, rows: Sequence[Row], hiding: Hiding, contract: str
) -> dict[str, float]:
    """The shares of right greedy answers with the event hidden and with another part hidden."""
    generator = random.Random(0)
    gone = _spans(model, processor, [hiding.apply(row, row.truth) for row in rows], contract)
    there = [hiding.apply(row, elsewhere(row, generator)) for row in rows]
    found = _spans(model, processor, there, contract)
    hits = [
        bool(spans) and iou(spans, row.truth) >= 0.5 for row, spans in zip(rows, found, strict=True)
    ]
    return {
        "nothing": sum(not spans for spans in gone) / len(rows),
        "found": sum(hits) / len(rows),
    }


def _spans(
    model: Any, processor: Any, rows: Sequence[Row], contract: str
) -> list[tuple[Span, ...]]:
    """The spans of the model's greedy answers."""
    import torch

    from temporal_plugin.video.model_inputs import pad_batch

    tokenizer, texts = processor.tokenizer, []
    model.eval()
    for start in range(0, len(rows), cold_start.EVALUATION_BATCH):
        part = [row.inputs for row in rows[start : start + cold_start.EVALUATION_BATCH]]
        batch = pad_batch(part, tokenizer.pad_token_id, side="left")
        with torch.inference_mode():
            tokens = model.generate(**batch, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        texts += tokenizer.batch_decode(
            tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
    model.train()
    return [answers.parse(text, contract=contract).spans for text in texts]
