"""A brief supervised start, so that the tiny model answers in form and better than chance.

Prompts, frames and model inputs come from the same functions as in training and evaluation; the
loss covers the answer only. Its labels are imprecise on purpose, see `ColdStartSettings`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_plugin.demo.settings import ColdStartSettings, DemoSettings
from temporal_plugin.spans import Span

if TYPE_CHECKING:
    import torch

    from temporal_plugin.annotations.sample import Sample

logger = logging.getLogger(__name__)

#: more than any answer of the contract needs (`<answer>12.50 to 14.00</answer>` has 17 tokens)
MAX_ANSWER_TOKENS = 24
EVALUATION_BATCH = 50
IGNORED_LABEL = -100


@dataclasses.dataclass(frozen=True)
class Row:
    """One question, ready for the model: its tensors (batch of one) and its true answer."""

    sample: Sample
    inputs: dict[str, torch.Tensor]
    shift_seconds: float = 0.0

    @property
    def truth(self) -> Span:
        """The one true span."""
        span, shift = self.sample.spans[0], self.shift_seconds
        return Span(span.start_seconds + shift, span.end_seconds + shift)


def answer_text(span: Span) -> str:
    """The answer in the form of the contract `answer`, seconds with two decimals."""
    return f"<answer>{span.start_seconds:.2f} to {span.end_seconds:.2f}</answer>"


def encode_samples(samples: Sequence[Sample], processor: Any, settings: DemoSettings) -> list[Row]:
    """Decodes and encodes every sample once; questions about one clip share its pixels."""
    from rich.progress import track

    from temporal_plugin import prompts
    from temporal_plugin.video.decode import load_frames
    from temporal_plugin.video.model_inputs import encode
    from temporal_plugin.video.sampling import Sampling

    prompt = prompts.load(settings.prompt)
    sampling = Sampling(**settings.sampling())
    frames, pixels, rows = {}, {}, []
    for sample in track(samples, "reading clips"):
        video = sample.video
        if video not in frames:
            frames[video] = load_frames(video, sampling, patch_size=settings.patch_size)
        inputs = encode(processor, prompt.messages(sample), [frames[video]])
        inputs["pixel_values_videos"] = pixels.setdefault(video, inputs["pixel_values_videos"])
        rows.append(Row(sample, inputs))
    return rows


def rolled(row: Row, generator: random.Random) -> Row:
    """The row with its clip rolled in time, so that its event is at another place.

    Frames pushed out at one end come in at the other; the event itself stays in one piece, and
    every place for it is as likely as any other. It multiplies the few hundred clips.
    """
    import torch

    steps, height, width = row.inputs["video_grid_thw"][0].tolist()
    step_seconds = row.sample.duration / steps
    first = -round(row.truth.start_seconds / step_seconds)
    last = round((row.sample.duration - row.truth.end_seconds) / step_seconds)
    shift = generator.randint(first, last)
    pixels = row.inputs["pixel_values_videos"]  # [steps * height * width, values of a patch]
    moved = torch.roll(pixels, shift * height * width, 0)
    return Row(row.sample, {**row.inputs, "pixel_values_videos": moved}, shift * step_seconds)


def label(row: Row, cold: ColdStartSettings, generator: random.Random) -> Span:
    """The span that the cold start is shown for the row: the true one, or one marked late."""
    if generator.random() >= cold.late_share:
        return row.truth
    last, late = row.sample.duration, cold.late_seconds
    end = min(row.truth.end_seconds + late, last)
    return Span(min(row.truth.start_seconds + late, end), end)


def with_answer(row: Row, span: Span, tokenizer: Any) -> dict[str, torch.Tensor]:
    """The row's inputs followed by `span` as answer, with `labels` int64 [1, L] on the answer."""
    return with_text(row, answer_text(span), tokenizer)


def with_text(row: Row, text: str, tokenizer: Any) -> dict[str, torch.Tensor]:
    """The row's inputs followed by any answer, with `labels` int64 [1, L] on the answer."""
    import torch

    ids = tokenizer(text + tokenizer.eos_token, return_tensors="pt").input_ids
    prompt = row.inputs["input_ids"]
    inputs = dict(row.inputs)
    inputs["input_ids"] = torch.cat([prompt, ids], dim=1)
    inputs["labels"] = torch.cat([torch.full_like(prompt, IGNORED_LABEL), ids], dim=1)
    for name, fill in (("attention_mask", 1), ("mm_token_type_ids", 0)):
        tail = torch.full_like(ids, fill, dtype=inputs[name].dtype)
        inputs[name] = torch.cat([inputs[name], tail], dim=1)
    return inputs


def batches(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of row numbers, every row once per pass, shuffled anew each pass."""
    order: list[int] = []
    generator = random.Random(seed)
    while True:
        while len(order) < size:
            order += generator.sample(range(count), count)
        yield order[:size]
        order = order[size:]


def greedy_miou(model: Any, processor: Any, rows: Sequence[Row]) -> float:
    """Mean IoU of greedy answers; an answer without a span scores 0."""
    import torch

    from temporal_plugin import answers, spans
    from temporal_plugin.video.model_inputs import pad_batch

    tokenizer = processor.tokenizer
    scores = []
    model.eval()
    for start in range(0, len(rows), EVALUATION_BATCH):
        part = rows[start : start + EVALUATION_BATCH]
        batch = pad_batch([row.inputs for row in part], tokenizer.pad_token_id, side="left")
        with torch.inference_mode():
            tokens = model.generate(**batch, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        texts = tokenizer.batch_decode(
            tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
        for row, text in zip(part, texts, strict=True):
            found = answers.parse(text, contract="answer").spans
            scores.append(spans.iou(found, row.truth) if found else 0.0)
    model.train()
    return sum(scores) / len(scores)


def train_batch(
    model: Any, optimizer: torch.optim.Optimizer, rows: Sequence[dict], pad_id: int
) -> float:
    """One step of gradient descent on rows made by `with_answer`; returns the loss."""
    import torch

    from temporal_plugin.video.model_inputs import pad_batch

    loss = model(**pad_batch(rows, pad_id, side="right")).loss
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def run(settings: DemoSettings, model_dir: Path, out: Path) -> dict[str, float]:
    """Trains the model of `model_dir` and saves it to `out`.

    Args:
        settings: the demo's settings; clips are read from `settings.clips_dir`.
        model_dir: a folder written by `tiny_model.build`.
        out: folder of the trained model; also gets `cold_start.jsonl`, one line per evaluation.

    Returns:
        batches, seconds, loss and validation_miou at the end.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from temporal_plugin import prompts
    from temporal_plugin.annotations import load_samples
    from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions

    fix_qwen2_5_vl_positions()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    processor = AutoProcessor.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32)
    train, validation = (
        encode_samples(load_samples(settings.clips_dir / f"{split}.jsonl"), processor, settings)
        for split in ("train", "validation")
    )
    out.mkdir(parents=True, exist_ok=True)
    result = _train(model, processor, train, validation, settings, out / "cold_start.jsonl")
    prompts.write_record(out, prompts.load(settings.prompt))
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return result


def _train(
    model: Any,
    processor: Any,
    train: Sequence[Row],
    validation: Sequence[Row],
    settings: DemoSettings,
    log_path: Path,
) -> dict[str, float]:
    import torch
    from rich.progress import Progress

    cold = settings.cold_start
    pad_id = processor.tokenizer.pad_token_id
    generator = random.Random(settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cold.learning_rate, weight_decay=cold.weight_decay
    )
    warmup = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda batch: min(1.0, (batch + 1) / cold.warmup_batches)
    )
    began, record = time.monotonic(), {}
    model.train()
    with Progress() as progress, log_path.open("w", encoding="utf-8") as log:
        task = progress.add_task("cold start", total=cold.batches)
        for number, picked in enumerate(batches(len(train), cold.batch_size, settings.seed), 1):
            rows = [rolled(train[index], generator) for index in picked]
            rows = [
                with_answer(row, label(row, cold, generator), processor.tokenizer) for row in rows
            ]
            loss = train_batch(model, optimizer, rows, pad_id)
            warmup.step()
            progress.update(task, advance=1, description=f"cold start, loss {loss:.2f}")
            if number % cold.evaluate_every and number < cold.batches:
                continue
            miou = greedy_miou(model, processor, validation)
            record = {
                "batches": number,
                "seconds": round(time.monotonic() - began, 1),
                "loss": round(loss, 4),
                "validation_miou": round(miou, 4),
            }
            log.write(json.dumps(record) + "\n")
            log.flush()
            logger.info("batch %(batches)d: loss %(loss).3f, mIoU %(validation_miou).3f", record)
            if number >= cold.batches:
                break
    return record
