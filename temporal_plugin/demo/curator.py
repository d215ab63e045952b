"""A tiny model that answers the boundary reflection's prompt, trained from the cold start.

It learns from clips whose annotation is complete: with the event hidden the answer is `[]`, with
another part hidden it is the event. So it has never seen an event that happens twice.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from temporal_plugin.demo import cold_start
from temporal_plugin.demo.cold_start import Row
from temporal_plugin.demo.settings import DemoSettings
from temporal_plugin.spans import Span, iou

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: share of the rows whose event is hidden, so that nothing is left to be found
NOTHING_SHARE = 0.5
LONGEST_HIDDEN_SECONDS = 4


def reflection_text(found: Sequence[Span]) -> str:
    """The answer to the reflection's prompt: JSON, seconds with two decimals."""
    return "[" + ", ".join(f"[{s.start_seconds:.2f}, {s.end_seconds:.2f}]" for s in found) + "]"


def hidden(row: Row, span: Span, black: torch.Tensor) -> Row:
    """The row with the temporal steps that touch `span` painted black."""
    steps, height, width = row.inputs["video_grid_thw"][0].tolist()
    step_seconds = row.sample.duration / steps
    pixels = row.inputs["pixel_values_videos"].clone()
    by_step = pixels.view(steps, height * width, -1)
    for step in range(steps):
        begin = step * step_seconds
        if begin < span.end_seconds and span.start_seconds < begin + step_seconds:
            by_step[step] = black
    return dataclasses.replace(row, inputs={**row.inputs, "pixel_values_videos": pixels})


def question(row: Row, generator: random.Random) -> tuple[Span, list[Span]]:
    """The span to hide from a row whose annotation is complete, and what is left to be found."""
    truth, seconds = row.truth, int(row.sample.duration)
    if generator.random() < NOTHING_SHARE:
        return truth, []
    free = [
        Span(float(start), float(start + length))
        for length in range(1, LONGEST_HIDDEN_SECONDS + 1)
        for start in range(seconds - length + 1)
        if start + length <= truth.start_seconds or truth.end_seconds <= start
    ]
    return generator.choice(free), [truth]


def encode_pairs(
    settings: DemoSettings, prompt: str, split: str, processor: Any
) -> tuple[list[Row], torch.Tensor]:
    """The split's rows with the reflection's prompt, and the patches of a black step.

    Returns:
        The rows, and float32 [patches of a step, values of a patch].
    """
    import torch

    from temporal_plugin.annotations import load_samples
    from temporal_plugin.video.frames import Frames
    from temporal_plugin.video.model_inputs import encode

    asking = dataclasses.replace(settings, prompt=prompt)
    samples = load_samples(settings.clips_dir / f"{split}.jsonl")
    rows = cold_start.encode_samples(samples, processor, asking)
    _, height, width = rows[0].inputs["video_grid_thw"][0].tolist()
    size = (2, 3, height * settings.patch_size, width * settings.patch_size)
    frames = Frames(torch.zeros(size, dtype=torch.uint8), np.arange(2) / 2.0, (0, 1), 2.0, 2)
    message = [{"role": "user", "content": [{"type": "video"}]}]
    return rows, encode(processor, message, [frames])["pixel_values_videos"]


def run(
    settings: DemoSettings, start_dir: Path, out: Path, prompt: str, count: int = 200
) -> dict[str, float]:
    """Trains the model of `start_dir` on the reflection's prompt and saves it to `out`.

    Args:
        settings: clips are read from `settings.clips_dir`; batch size and rate from `cold_start`.
        start_dir: folder of a model whose tokenizer knows both prompts.
        out: folder of the trained model; also gets `curator.jsonl`, one line per evaluation.
        prompt: name of the reflection's prompt.
        count: batches.

    Returns:
        batches, seconds, loss, and on the validation clips the share of right answers to hidden
        events (`nothing`) and to other parts hidden (`found`, at IoU 0.5).
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions

    fix_qwen2_5_vl_positions()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    processor = AutoProcessor.from_pretrained(start_dir)
    model = AutoModelForImageTextToText.from_pretrained(start_dir, dtype=torch.float32)
    rows, black = encode_pairs(settings, prompt, "train", processor)
    validation, _ = encode_pairs(settings, prompt, "validation", processor)
    out.mkdir(parents=True, exist_ok=True)
    cold, tokenizer = settings.cold_start, processor.tokenizer
    generator = random.Random(settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cold.learning_rate, weight_decay=cold.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda batch: min(1.0, (batch + 1) / cold.warmup_batches, 0.05 + 2 * (1 - batch / count)),
    )
    began, record = time.monotonic(), {}
    model.train()
    with (out / "curator.jsonl").open("w", encoding="utf-8") as log:
        for number, picked in enumerate(
            cold_start.batches(len(rows), cold.batch_size, settings.seed), 1
        ):
            batch = []
            for index in picked:
                row = cold_start.rolled(rows[index], generator)
                span, found = question(row, generator)
                batch.append(
                    cold_start.with_text(
                        hidden(row, span, black), reflection_text(found), tokenizer
                    )
                )
            loss = cold_start.train_batch(model, optimizer, batch, tokenizer.pad_token_id)
            schedule.step()
            if number % cold.evaluate_every and number < count:
                continue
            record = {
                "batches": number,
                "seconds": round(time.monotonic() - began, 1),
                "loss": round(loss, 4),
            }
            record |= check(model, processor, validation, black)
            log.write(json.dumps(record) + "\n")
            log.flush()
            logger.info("%s", record)
            if number >= count:
                break
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return record


def check(model: Any, processor: Any, rows: Sequence[Row], black: torch.Tensor) -> dict[str, float]:
    """Greedy answers with the event hidden, and with another part hidden."""
    generator = random.Random(0)
    gone = [hidden(row, row.truth, black) for row in rows]
    nothing = [text.strip() == "[]" for text in answer(model, processor, gone)]
    other = []
    for row in rows:
        span, found = Span(0, 0.1), []
        while not found:
            span, found = question(row, generator)
        other.append(hidden(row, span, black))
    hits = []
    for row, text in zip(other, answer(model, processor, other), strict=True):
        try:
            found = [Span(*map(float, pair)) for pair in json.loads(text)]
        except (ValueError, TypeError):
            found = []
        hits.append(bool(found) and iou(found, [row.truth]) >= 0.5)
    return {"nothing": sum(nothing) / len(nothing), "found": sum(hits) / len(hits)}


def answer(model: Any, processor: Any, rows: Sequence[Row], **sampling: Any) -> list[str]:
    """The model's answers, greedy unless `sampling` says otherwise."""
    import torch

    from temporal_plugin.video.model_inputs import pad_batch

    tokenizer, texts = processor.tokenizer, []
    model.eval()
    for start in range(0, len(rows), cold_start.EVALUATION_BATCH):
        part = [row.inputs for row in rows[start : start + cold_start.EVALUATION_BATCH]]
        batch = pad_batch(part, tokenizer.pad_token_id, side="left")
        with torch.inference_mode():
            tokens = model.generate(**batch, max_new_tokens=40, **({"do_sample": False} | sampling))
        texts += tokenizer.batch_decode(
            tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
    model.train()
    return texts
