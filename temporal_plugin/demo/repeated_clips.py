"""Clips in which an event happens twice, some of them with one of the two left unannotated.

They show whether curation finds incomplete annotations (`curation.boundary_reflection`). A clip
asks one question and is of one of three kinds:

- planted: the event happens twice and the annotation holds one of the two;
- both: the event happens twice and the annotation holds both;
- once: the event happens once.

Which clip is of which kind stands in `truth.jsonl` beside the samples and nowhere else: neither
ids nor file names nor fields of the samples tell.
"""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np

from temporal_plugin.demo import clips
from temporal_plugin.demo.clips import COLOURS, LANES, SHAPES, SPLITS, WORDINGS, Event
from temporal_plugin.demo.settings import ClipSettings

#: raised whenever the pixels or the queries of a clip change, so that old clips are rewritten
VERSION = 1
KINDS = ("planted", "both", "once")
TRUTH_FILE = "truth.jsonl"
GAP_SECONDS = 1  # the least time between the two occurrences
SHORTEST_SECONDS, LONGEST_SECONDS = 2, 3  # of an occurrence
LEAST_SECONDS = 2 * LONGEST_SECONDS + GAP_SECONDS  # of a clip
_PLAN, _WORDING = 3, 4  # parts of the seeds, apart from those of `clips`


@dataclasses.dataclass(frozen=True)
class RepeatedClip:
    """The plan of one clip.

    Attributes:
        kind: one of `KINDS`.
        occurrences: of the event that is asked for, in the order of time.
        annotated: those that the sample's spans hold.
        distractor: another event that the query does not name; None where there is none.
    """

    kind: str
    occurrences: tuple[Event, ...]
    annotated: tuple[Event, ...]
    distractor: Event | None


def plan(
    settings: ClipSettings,
    seed: int,
    split: str,
    index: int,
    *,
    planted: float = 0.4,
    both: float = 0.3,
) -> RepeatedClip:
    """The plan of one clip; the same arguments always give the same plan.

    Edges lie on whole seconds.

    Args:
        settings: numbers and sizes of the clips.
        seed, split, index: which clip.
        planted, both: probability of these kinds; `once` has the rest.

    Raises:
        ValueError: clips shorter than `LEAST_SECONDS`, or probabilities that are none.
    """
    if settings.duration_seconds < LEAST_SECONDS:
        raise ValueError(
            f"duration_seconds is {settings.duration_seconds}; two occurrences need "
            f"{LEAST_SECONDS} or more"
        )
    if min(planted, both) < 0 or planted + both > 1:
        raise ValueError(f"planted is {planted}, both {both}; allowed: 0 or more, 1 in all")
    rng = np.random.default_rng([seed, SPLITS.index(split), index, _PLAN])
    kind = str(rng.choice(KINDS, p=(planted, both, 1.0 - planted - both)))
    lanes, colours = rng.permutation(LANES), rng.permutation(list(COLOURS))
    shapes = rng.permutation(SHAPES)
    lengths = rng.integers(SHORTEST_SECONDS, LONGEST_SECONDS + 1, size=1 if kind == "once" else 2)
    starts = _starts(rng, int(settings.duration_seconds), [int(length) for length in lengths])
    look = (str(rng.choice(list(WORDINGS))), str(colours[0]), str(shapes[0]), int(lanes[0]))
    way = (float(rng.uniform(0.25, 0.75)), bool(rng.random() < 0.5))
    occurrences = tuple(
        Event(*look, float(start), float(start + length), *way)
        for start, length in zip(starts, lengths, strict=True)
    )
    kept = int(rng.integers(2))
    annotated = (occurrences[kept],) if kind == "planted" else occurrences
    return RepeatedClip(kind, occurrences, annotated, _distractor(settings, rng, colours, shapes,
                                                                 int(lanes[1])))  # fmt: skip


def _starts(rng: np.random.Generator, duration: int, lengths: list[int]) -> list[int]:
    """Whole seconds at which stretches of these lengths start, in order, with gaps between."""
    free = duration - sum(lengths) - GAP_SECONDS * (len(lengths) - 1)
    offsets = sorted(int(rng.integers(free + 1)) for _ in lengths)
    starts, end = [], 0
    for offset, length in zip(offsets, lengths, strict=True):
        starts.append(end + offset)
        end += length + GAP_SECONDS
    return starts


def _distractor(
    settings: ClipSettings,
    rng: np.random.Generator,
    colours: np.ndarray,
    shapes: np.ndarray,
    lane: int,
) -> Event | None:
    """An event of another colour and shape in the other lane, in half of the clips."""
    length = int(rng.integers(SHORTEST_SECONDS, LONGEST_SECONDS + 1))
    start = int(rng.integers(int(settings.duration_seconds) - length + 1))
    kind, centre = str(rng.choice(list(WORDINGS))), float(rng.uniform(0.25, 0.75))
    event = Event(kind, str(colours[1]), str(shapes[1]), lane, float(start), float(start + length),
                  centre, bool(rng.random() < 0.5))  # fmt: skip
    return event if rng.random() < 0.5 else None


def write(
    out: Path,
    settings: ClipSettings,
    seed: int,
    *,
    planted: float = 0.4,
    both: float = 0.3,
    progress: bool = True,
) -> dict[str, Path]:
    """Writes `<out>/{train,validation,test}.jsonl`, `<out>/videos/*.mp4` and `<out>/truth.jsonl`.

    A line of the last holds `{"id", "kind", "planted", "occurrences": [[start, end], ...]}`.
    Clips of the same settings that are there already are left alone.

    Args:
        out: folder; created where missing. Old clips of other settings in it are removed.
        settings: numbers and sizes of the clips.
        seed: decides every event, query and pixel.
        planted, both: probability of these kinds.
        progress: show a progress bar.

    Returns:
        Path of the JSONL file of each split, and of "truth".

    Raises:
        ValueError: as `plan`.
    """
    rates = {"planted": planted, "both": both}
    wanted = {"repeated": VERSION, "seed": seed, **rates, **dataclasses.asdict(settings)}
    make = partial(_write_clip, out, settings, seed, rates)
    numbers = [(split, i) for split in SPLITS for i in range(getattr(settings, split))]
    lines = [json.dumps(_truth(settings, seed, rates, *number)) + "\n" for number in numbers]
    paths = clips.write_splits(out, settings, wanted, make, progress=progress)
    truth = out / TRUTH_FILE
    truth.write_text("".join(lines), "utf-8")
    return {**paths, "truth": truth}


def _id(split: str, index: int) -> str:
    return f"repeated_{split}_{index:04d}"


def _truth(
    settings: ClipSettings, seed: int, rates: dict[str, float], split: str, index: int
) -> dict:
    clip = plan(settings, seed, split, index, **rates)
    return {
        "id": _id(split, index),
        "kind": clip.kind,
        "planted": clip.kind == "planted",
        "occurrences": _pairs(clip.occurrences),
    }


def _write_clip(
    out: Path, settings: ClipSettings, seed: int, rates: dict[str, float], split: str, index: int
) -> list[dict]:
    """Writes one mp4 and returns its only row."""
    clip = plan(settings, seed, split, index, **rates)
    noise_seed = [seed, SPLITS.index(split), index]
    events = [*clip.occurrences, *([clip.distractor] if clip.distractor else [])]
    name = f"{split}_{index:04d}"
    frames = clips.draw(settings, events, noise_seed)
    clips.encode(out / "videos" / f"{name}.mp4", frames, settings)
    wording = int(np.random.default_rng([*noise_seed, _WORDING]).integers(3))
    row = {
        "id": _id(split, index),
        "task": "grounding",
        "video": f"videos/{name}.mp4",
        "query": clip.occurrences[0].query(wording),
        "spans": _pairs(clip.annotated),
        "duration": settings.duration_seconds,
        "source": "repeated",
        "split": split,
        "extra": {"kind": clip.occurrences[0].kind},
    }
    return [row]


def _pairs(events: tuple[Event, ...]) -> list[list[float]]:
    return [[event.start_seconds, event.end_seconds] for event in events]
