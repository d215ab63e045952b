"""Minute-long synthetic clips in which what is asked for is visible for a second or two.

Over a calm, noisy background a few big coloured shapes show up, each for 1 to 2 seconds, never
two at a time and each in another colour. A question names a colour and asks for the shape. Every
shape is the answer to a quarter of a split's questions, wherever it falls: seeing one event tells
nothing about another, and who missed the event can only guess. A few uniform frames miss it most
of the time.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np

from temporal_plugin.demo import clips
from temporal_plugin.demo.search_settings import SearchClipSettings
from temporal_plugin.demo.settings import ClipSettings

#: also the options of every question, in this order
SHAPES = ("circle", "cross", "square", "triangle")
QUESTION = "What shape is the {colour} thing?"
SOURCE = "search_demo"
#: least time between two events, and from an event to the clip's edges
GAP_SECONDS = 2.0
#: events begin on this grid, so that a grid of 2 frames a second shows their whole length
GRID_SECONDS = 0.5
#: half the width of a shape, as a share of the picture's edge, and how far it may be off the centre
RADIUS, OFF_CENTRE = 0.4, 0.06
#: raised whenever the pixels or the questions of a clip change, so that old clips are rewritten
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Event:
    """One coloured shape, visible during the half-open span [start, end) seconds.

    `x` and `y` are its centre as shares of the picture's edge.
    """

    colour: str
    shape: str
    start_seconds: float
    end_seconds: float
    x: float
    y: float


def plan(
    settings: SearchClipSettings, seed: int, split: str, index: int
) -> tuple[float, list[Event]]:
    """Length in seconds and events of one clip, in order of time; a function of its arguments."""
    rng = np.random.default_rng([seed, clips.SPLITS.index(split), index, 3])
    duration = float(rng.integers(settings.least_seconds, settings.most_seconds + 1))
    lengths = rng.choice(settings.event_seconds, size=settings.events)
    starts = _starts(rng, duration, lengths)
    colours = rng.permutation(list(clips.COLOURS))[: settings.events]
    shapes = _shapes(settings, seed, split)[index * settings.events :]
    events = [
        Event(
            str(colour),
            str(shape),
            start,
            start + float(length),
            *(0.5 + rng.uniform(-OFF_CENTRE, OFF_CENTRE, size=2)),
        )
        for colour, shape, start, length in zip(colours, shapes, starts, lengths, strict=False)
    ]
    return duration, events


def _shapes(settings: SearchClipSettings, seed: int, split: str) -> np.ndarray:
    """The shape of every event of a split, clip after clip: each as often as any other."""
    rng = np.random.default_rng([seed, clips.SPLITS.index(split), 4])
    return rng.permutation(np.resize(SHAPES, getattr(settings, split) * settings.events))


def _starts(rng: np.random.Generator, duration: float, lengths: np.ndarray) -> list[float]:
    """Starts on the grid, all gaps kept; every such placement is as likely as any other."""
    taken = float(lengths.sum()) + GAP_SECONDS * (len(lengths) + 1)
    free = int((duration - taken) / GRID_SECONDS)
    if free < 0:
        raise ValueError(
            f"{len(lengths)} events of {lengths.tolist()} s do not fit into {duration} s; "
            "use fewer events or longer clips"
        )
    # distinct sorted numbers, less their rank, are sorted numbers that may repeat
    picked = np.sort(rng.choice(free + len(lengths), size=len(lengths), replace=False))
    slack = (picked - np.arange(len(lengths))) * GRID_SECONDS
    before = np.cumsum([0.0, *lengths[:-1]]) + GAP_SECONDS * np.arange(1, len(lengths) + 1)
    return [float(start) for start in slack + before]


def write(
    out: Path, settings: SearchClipSettings, seed: int, *, progress: bool = True
) -> dict[str, Path]:
    """As `clips.write`, for these clips."""
    wanted = {"version": VERSION, "seed": seed, **dataclasses.asdict(settings)}
    make = partial(_write_clip, out, settings, seed)
    return clips.write_splits(out, settings, wanted, make, progress=progress)


def drawn(settings: SearchClipSettings, duration: float) -> ClipSettings:
    """What `clips.draw` and `clips.encode` need to know of a clip so long."""
    return ClipSettings(
        duration_seconds=duration,
        frames_per_second=settings.frames_per_second,
        edge_pixels=settings.edge_pixels,
    )


def draw(
    settings: SearchClipSettings, duration: float, events: list[Event], noise_seed: list[int]
) -> np.ndarray:
    """The frames of one clip as uint8 [T, H, W, 3] RGB."""
    return clips.draw(drawn(settings, duration), events, noise_seed, _draw_event)


def _draw_event(picture: np.ndarray, event: Event, seconds: float) -> None:
    clips.draw_shape(picture, event.shape, event.colour, event.x, event.y, RADIUS)


def _write_clip(
    out: Path, settings: SearchClipSettings, seed: int, split: str, index: int
) -> list[dict]:
    """Writes one mp4 and returns its rows: a question about each event."""
    duration, events = plan(settings, seed, split, index)
    name = f"{split}_{index:04d}"
    frames = draw(settings, duration, events, [seed, clips.SPLITS.index(split), index])
    look = drawn(settings, duration)
    clips.encode(out / "videos" / f"{name}.mp4", frames, look, preset="ultrafast")
    return [
        {
            "id": f"{SOURCE}_{name}_{number}",
            "task": "choice",
            "video": f"videos/{name}.mp4",
            "query": QUESTION.format(colour=event.colour),
            "spans": [[event.start_seconds, event.end_seconds]],
            "duration": duration,
            "options": list(SHAPES),
            "answer": chr(ord("A") + SHAPES.index(event.shape)),
            "source": SOURCE,
            "split": split,
            "extra": {"colour": event.colour, "shape": event.shape},
        }
        for number, event in enumerate(events)
    ]
