"""A brief supervised start, so that the tiny model calls the tool in form and can read a frame."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from temporal_plugin.demo.cold_start import batches, train_batch
from temporal_plugin.demo.search_settings import SearchDemoSettings
from temporal_plugin.demo.search_traces import Row, Tracer


def run(settings: SearchDemoSettings) -> dict[str, float]:
    """Trains the model of `settings.model_dir` and saves it to `settings.cold_start_dir`.

    Returns:
        `batches` and `seconds` of the training, `loss` of its last batches, number of `rows`.
    """
    import torch
    from rich.progress import track
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from temporal_plugin.annotations import load_samples
    from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions

    fix_qwen2_5_vl_positions()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    processor = AutoProcessor.from_pretrained(settings.model_dir)
    model = AutoModelForImageTextToText.from_pretrained(settings.model_dir, dtype=torch.float32)
    tracer = Tracer(settings, processor, settings.seed)
    samples = load_samples(settings.clips_dir / "train.jsonl")
    rows = [row for sample in track(samples, "searching") for row in tracer.rows(sample)]
    record = _train(model, processor.tokenizer.pad_token_id, rows, settings)
    settings.cold_start_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(settings.cold_start_dir)
    processor.save_pretrained(settings.cold_start_dir)
    path = settings.cold_start_dir / "cold_start.json"
    path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return record


def _train(
    model: Any, pad_id: int, rows: Sequence[Row], settings: SearchDemoSettings
) -> dict[str, float]:
    import torch
    from rich.progress import track

    cold = settings.cold_start
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cold.learning_rate, weight_decay=cold.weight_decay
    )
    warmup = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda batch: min(1.0, (batch + 1) / cold.warmup_batches)
    )
    began, losses = time.monotonic(), []
    order = batches(len(rows), cold.batch_size, settings.seed)
    model.train()
    for _ in track(range(cold.batches), "cold start"):
        losses.append(train_batch(model, optimizer, [rows[i] for i in next(order)], pad_id))
        warmup.step()
    mean = sum(losses[-20:]) / len(losses[-20:])
    return {
        "batches": cold.batches,
        "seconds": round(time.monotonic() - began, 1),
        "loss": round(mean, 4),
        "rows": len(rows),
    }
