"""The end of the demo: a table, a picture and the numbers behind them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_plugin.demo import evaluate, train
from temporal_plugin.demo.settings import DemoSettings
from temporal_plugin.report import comparison
from temporal_plugin.report.picture import Curve, Strip, draw
from temporal_plugin.spans import Span

if TYPE_CHECKING:
    import numpy as np

    from temporal_plugin.annotations.sample import Sample

FRAMES_PER_STRIP = 16
FAMILY_NAMES = {"qwen2_5_vl": "Qwen2.5-VL", "qwen3_vl": "Qwen3-VL"}


def write(settings: DemoSettings) -> str:
    """Writes `report/{results.md,results.json,picture.png}`; returns a summary in words.

    Raises:
        FileNotFoundError: one of the evaluations has not been run.
    """
    from rich.console import Console

    from temporal_plugin.integrations.lmms_eval_results import read_samples

    before = read_samples(evaluate.before_dir(settings), task=evaluate.TASK)
    after = read_samples(evaluate.after_dir(settings), task=evaluate.TASK)
    rows = comparison.compare(before, after)
    curve = training_curve(settings)
    step, checkpoint = train.best_checkpoint(settings)
    settings.report_dir.mkdir(parents=True, exist_ok=True)
    note = (
        f"{len(before)} questions about {len({row['video'] for row in before})} unseen clips; "
        f"{settings.family}, seed {settings.seed}, rollout by {settings.rollout}; checkpoint of "
        f"GRPO step {step}, chosen on validation clips. Interval: paired bootstrap over clips."
    )
    (settings.report_dir / "results.md").write_text(
        f"{comparison.demo_table(rows).markdown()}\n{note}\n", "utf-8"
    )
    numbers = {
        "seed": settings.seed,
        "family": settings.family,
        "rollout": settings.rollout,
        "checkpoint": str(checkpoint),
        "step": step,
        "questions": len(before),
        "metrics": [dataclasses.asdict(row) for row in rows],
        "curve": dataclasses.asdict(curve),
    }
    (settings.report_dir / "results.json").write_text(json.dumps(numbers, indent=2), "utf-8")
    name = FAMILY_NAMES[settings.family]
    title = f"A tiny {name} learns when things happen (GRPO on CPU, seed {settings.seed})"
    picture = settings.report_dir / "picture.png"
    draw(picture, title, curve, rows, strips(settings, before, after))
    Console().print(comparison.demo_table(rows).rich())
    miou = rows[0]
    return f"mIoU {miou.before:.3f} -> {miou.after:.3f} ({miou.numbers[-1]}); {note}"


def training_curve(settings: DemoSettings) -> Curve:
    """What verl logged: reward and parts per step, IoU at each validation."""
    training = train.training_rows(settings)
    validation = train.validations(settings)
    return Curve(
        steps=[step for step, _ in training],
        rewards={
            name: [row[f"reward/{name}/mean"] for _, row in training]
            for name in ("score", "iou", "format")
        },
        validation_steps=[step for step, _ in validation],
        validation_iou=[value for _, value in validation],
    )


def strips(
    settings: DemoSettings, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Strip]:
    """The first test question about each kind of event, each in a clip of its own with distractors.

    The rule is fixed, so that nobody has picked the flattering ones.
    """
    from temporal_plugin.annotations import load_samples

    samples = load_samples(settings.clips_dir / "test.jsonl")
    earlier, later = ({row["id"]: row for row in rows} for rows in (before, after))
    videos = [sample.video for sample in samples]
    chosen: dict[str, Sample] = {}
    for sample in samples:
        shown = {other.video for other in chosen.values()}
        if videos.count(sample.video) > 1 and sample.video not in shown:
            chosen.setdefault(sample.extra["kind"], sample)
    return [
        Strip(
            query=sample.query,
            duration_seconds=sample.duration,
            frames=_frames(Path(sample.video), FRAMES_PER_STRIP),
            spans=(
                sample.spans[0],
                _span(earlier[sample.id]["prediction"]),
                _span(later[sample.id]["prediction"]),
            ),
            ious=tuple(comparison.scores(rows[sample.id])["miou"] for rows in (earlier, later)),
        )
        for sample in chosen.values()
    ]


def _span(pairs: Sequence[Sequence[float]]) -> Span | None:
    return Span(*pairs[0]) if pairs else None


def _frames(path: Path, count: int) -> np.ndarray:
    """uint8 [count, H, W, 3]: the frame in the middle of each of `count` equal parts."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    places = (np.arange(count) + 0.5) * len(frames) / count
    return np.stack([frames[int(place)] for place in places])
