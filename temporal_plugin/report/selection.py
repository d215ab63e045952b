"""The report of a selection: what was kept and dropped, as JSON and as a picture."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from temporal_plugin.report.selection_plot import Counts, Example, draw

if TYPE_CHECKING:
    from temporal_plugin.annotations.sample import Sample
    from temporal_plugin.curation.boundary_rows import Reflection
    from temporal_plugin.curation.difficulty import Difficulty
    from temporal_plugin.curation.selection import Selection

logger = logging.getLogger(__name__)
BINS = 20
LARGEST_SPREAD = 0.5  # of values in [0, 1]
FRAMES_PER_STRIP = 12
FINER = 4  # so many times more frames are read, of which the nearest to each place is shown
FRAME_PIXELS = 128 * 128
PICTURE, NUMBERS = "selection.png", "selection.json"
FATES = ("selected", "partial", "other")


def write(
    folder: Path,
    samples: Mapping[str, Sample],
    known: Mapping[str, Difficulty],
    found: Selection,
    reflections: Mapping[str, Reflection],
    *,
    examples: int = 4,
) -> list[str]:
    """Writes `selection.png` and `selection.json` into `folder`, which is made if need be.

    Args:
        folder: where to write.
        samples: the data by id.
        known: the measured difficulties by id.
        found: what was chosen of them, and what each rule dropped.
        reflections: the rows of `boundaries.jsonl` by id; empty where there are none.
        examples: so many dropped partial samples are shown, in an order by chance that belongs to
            their ids; one whose video cannot be read gives its place to the next.

    Returns:
        The paths written.

    Raises:
        ImportError: matplotlib is missing.
    """
    measured = sorted(set(samples) & set(known))
    counts = count(measured, samples, known, found)
    shown = [
        reflections[id] for id in found.dropped.get("partial", ()) if id in reflections
    ]  # fmt: skip
    strips = example_strips(shown, samples, examples)
    numbers = {
        "samples": len(samples),
        "measured": len(measured),
        "selected": len(found.ids),
        "dropped": {rule: list(ids) for rule, ids in found.dropped.items()},
        "without_difficulty": list(found.missing),
        "without_boundaries": sorted(set(samples) - set(reflections)) if reflections else None,
        "difficulty": counts.to_dict("difficulty"),
        "spread": counts.to_dict("spread"),
        "sources": {name: dict(fates) for name, fates in counts.sources.items()},
        "examples": [strip.id for strip in strips],
        "ids": list(found.ids),
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(numbers, indent=2, ensure_ascii=False)
    (folder / NUMBERS).write_text(text + "\n", encoding="utf-8")
    draw(folder / PICTURE, counts, strips)
    return [str(folder / name) for name in (PICTURE, NUMBERS)]


def count(
    measured: Sequence[str],
    samples: Mapping[str, Sample],
    known: Mapping[str, Difficulty],
    found: Selection,
) -> Counts:
    """How many of the measured samples are where, before and after the selection."""
    chosen, partial = set(found.ids), set(found.dropped.get("partial", ()))
    sources: dict[str, Counter[str]] = {}
    for id in measured:
        fate = "selected" if id in chosen else "partial" if id in partial else "other"
        name = samples[id].source or "(no source)"
        sources.setdefault(name, Counter(dict.fromkeys(FATES, 0)))[fate] += 1
    values = {
        "difficulty": (lambda id: known[id].difficulty, 1.0),
        "spread": (lambda id: known[id].spread, LARGEST_SPREAD),
    }
    histograms = {}
    for name, (value, largest) in values.items():
        edges = np.linspace(0.0, largest, BINS + 1)
        histograms[name] = (
            edges,
            np.histogram([value(id) for id in measured], edges)[0],
            np.histogram([value(id) for id in measured if id in chosen], edges)[0],
        )
    return Counts(histograms, dict(sorted(sources.items())))


def example_strips(
    rows: Sequence[Reflection], samples: Mapping[str, Sample], most: int
) -> list[Example]:
    """Frames of `most` of these samples; videos that cannot be read are passed over and named."""
    from temporal_plugin.curation.chance import id_hashes

    ids = [row.id for row in rows]
    order = np.argsort(id_hashes(ids), kind="stable") if ids else []
    strips: list[Example] = []
    for index in order:
        if len(strips) >= most:
            break
        row = rows[index]
        sample = samples[row.id]
        try:
            frames, duration = _frames(sample)
        except (ValueError, OSError) as error:
            logger.warning("no strip of %s: %s", row.id, error)
            continue
        strips.append(
            Example(
                id=row.id,
                query=sample.query,
                duration_seconds=duration,
                frames=frames,
                span=row.span,
                outside=row.outside,
                votes=row.votes,
                answers=row.answers,
            )
        )
    return strips


def _frames(sample: Sample) -> tuple[np.ndarray, float]:
    """uint8 [T, H, W, 3], the middles of equal parts of what the sample shows, and its seconds."""
    from temporal_plugin.annotations.durations import with_duration
    from temporal_plugin.video.decode import load_frames
    from temporal_plugin.video.sampling import Sampling

    duration: Any = with_duration(sample).duration
    sampling = Sampling(
        fps=FINER * FRAMES_PER_STRIP / duration,
        min_frames=2,
        max_frames=FINER * FRAMES_PER_STRIP,
        max_pixels=FRAME_PIXELS,
        min_pixels=FRAME_PIXELS // 4,
    )
    frames = load_frames(sample.video, sampling, clip=sample.clip)
    middles = (np.arange(FRAMES_PER_STRIP) + 0.5) * duration / FRAMES_PER_STRIP
    nearest = np.abs(frames.pts_seconds[None, :] - middles[:, None]).argmin(axis=1)
    return frames.pixels[nearest].permute(0, 2, 3, 1).numpy(), duration
