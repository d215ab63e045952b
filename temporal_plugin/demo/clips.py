"""Short synthetic clips with events, distractors and natural-language queries.

A clip is a noisy grey background on which one to three coloured shapes act, each for its own span
of time and in a lane where it hides no other. A query names one of them, the others distract.
Colours and shapes do not repeat within a clip, so a query has exactly one true span.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from temporal_plugin.demo.settings import ClipSettings

logger = logging.getLogger(__name__)

COLOURS = {
    "red": (230, 40, 40),
    "green": (40, 210, 60),
    "blue": (50, 80, 240),
    "yellow": (240, 220, 40),
}
SHAPES = ("square", "circle", "triangle")
#: wordings of a query for each kind of event; {c} colour, {s} shape
WORDINGS = {
    "appear": (
        "the {c} {s} appears",
        "a {c} {s} shows up on the screen",
        "a {s} that is {c} can be seen",
    ),
    "blink": (
        "the {c} {s} blinks",
        "a {c} {s} is flashing",
        "a {s} that is {c} flickers",
    ),
    "move": (
        "the {c} {s} moves across the screen",
        "a {c} {s} slides from one side to the other",
        "a {s} that is {c} crosses the picture",
    ),
    "grow": (
        "the {c} {s} grows",
        "a {c} {s} gets bigger and bigger",
        "a {s} that is {c} becomes larger",
    ),
}
SPLITS = ("train", "validation", "test")
LANES = 2
#: share of clips with one, two and (room given) three events
EVENT_COUNTS = (0.4, 0.4, 0.2)
#: raised whenever the pixels or the queries of a clip change, so that old clips are rewritten
VERSION = 2


@dataclasses.dataclass(frozen=True)
class Event:
    """One coloured shape acting in one lane during the half-open span [start, end) seconds."""

    kind: str
    colour: str
    shape: str
    lane: int
    start_seconds: float
    end_seconds: float
    #: for `move`: from left to right; otherwise the horizontal centre as a fraction of the width
    centre: float
    rightwards: bool

    def hides(self, other: Event) -> bool:
        """True where both are in the same lane at the same time."""
        return (
            self.lane == other.lane
            and self.start_seconds < other.end_seconds
            and other.start_seconds < self.end_seconds
        )

    def query(self, wording: int) -> str:
        """The event in words, in one of `len(WORDINGS[kind])` wordings."""
        wordings = WORDINGS[self.kind]
        return wordings[wording % len(wordings)].format(c=self.colour, s=self.shape)


def plan(settings: ClipSettings, seed: int, split: str, index: int) -> list[Event]:
    """The events of one clip; the same arguments always give the same events.

    Edges lie on whole seconds and an event lasts 2 to 4 seconds. There are one to three events.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    colours = [str(colour) for colour in rng.permutation(list(COLOURS))[:3]]
    shapes = [str(shape) for shape in rng.permutation(SHAPES)]
    lanes = [*rng.permutation(LANES), int(rng.integers(LANES))]
    events: list[Event] = []
    count = int(rng.choice([1, 2, 3], p=EVENT_COUNTS))
    for lane, colour, shape in zip(lanes, colours, shapes, strict=True):
        length = int(rng.integers(2, 5))
        start = int(rng.integers(0, int(settings.duration_seconds) - length + 1))
        event = Event(
            kind=str(rng.choice(list(WORDINGS))),
            colour=colour,
            shape=shape,
            lane=int(lane),
            start_seconds=float(start),
            end_seconds=float(start + length),
            centre=float(rng.uniform(0.25, 0.75)),
            rightwards=bool(rng.random() < 0.5),
        )
        if not any(event.hides(other) for other in events):
            events.append(event)
    return events[:count]


def draw(
    settings: ClipSettings,
    events: Sequence[Any],
    noise_seed: list[int],
    draw_event: Callable[[np.ndarray, Any, float], None] | None = None,
) -> np.ndarray:
    """The frames of one clip as uint8 [T, H, W, 3] RGB.

    Args:
        settings: length, rate and size.
        events: `Event`s, or what `draw_event` can draw; all have a start and an end in seconds.
        noise_seed: decides the background.
        draw_event: draws an event, at a time in seconds, into a picture [H, W, 3] in place.
    """
    draw_event = draw_event or _draw_event
    rng = np.random.default_rng([*noise_seed, 1])
    edge, rate = settings.edge_pixels, settings.frames_per_second
    count = round(settings.duration_seconds * rate)
    blocks = rng.normal(0, 6, size=(edge // 8 + 1, edge // 8 + 1))
    texture = np.kron(blocks, np.ones((8, 8)))[:edge, :edge]
    # a few noise pictures in turn look like camera noise and cost a tenth of fresh ones
    noise = rng.normal(0, 4, size=(5, edge, edge))
    phase = rng.uniform(0, 6)
    frames = np.empty((count, edge, edge, 3), np.uint8)
    for number in range(count):
        seconds = number / rate
        light = 115 + 12 * np.sin(2 * np.pi * (seconds + phase) / 6)
        frames[number] = np.clip(light + texture + noise[number % 5], 0, 255)[..., None]
        for event in events:
            if event.start_seconds <= seconds < event.end_seconds:
                draw_event(frames[number], event, seconds)
    return frames


def _draw_event(picture: np.ndarray, event: Event, seconds: float) -> None:
    """Draws the event's shape into a uint8 picture [H, W, 3] in place."""
    progress = (seconds - event.start_seconds) / (event.end_seconds - event.start_seconds)
    radius, centre, strength = 0.21, event.centre, 1.0
    if event.kind == "move":
        centre = 0.22 + 0.56 * (progress if event.rightwards else 1 - progress)
    elif event.kind == "grow":
        radius = 0.11 + 0.12 * progress
    elif event.kind == "blink":
        strength = 1.0 if int(seconds * 10) % 6 < 3 else 0.55
    height = (event.lane + 0.5) / LANES
    draw_shape(picture, event.shape, event.colour, centre, height, radius, strength)


def draw_shape(
    picture: np.ndarray,
    shape: str,
    colour: str,
    x_centre: float,
    y_centre: float,
    radius: float,
    strength: float = 1.0,
) -> None:
    """Draws a shape into a uint8 picture [H, W, 3] in place.

    Args:
        shape: "square", "circle", "triangle" or "cross".
        colour: a key of `COLOURS`.
        x_centre, y_centre, radius: shares of the picture's edge.
        strength: 1 covers what is behind it, 0 leaves it.
    """
    # distance of each row [H, 1] and column [1, W] from the centre, in units of the radius
    positions = (np.arange(picture.shape[0]) + 0.5) / picture.shape[0]
    y, x = ((positions - y_centre) / radius)[:, None], ((positions - x_centre) / radius)[None, :]
    inside = _inside(shape, x, y)
    painted = strength * np.asarray(COLOURS[colour]) + (1 - strength) * picture[inside]
    picture[inside] = painted


def _inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which pixels [H, W] belong to a shape; x [1, W] and y [H, 1] in units of its radius."""
    if shape == "square":
        return (abs(x) <= 0.9) & (abs(y) <= 0.9)
    if shape == "circle":
        return x * x + y * y <= 1.0
    if shape == "cross":
        wide, high = (abs(x) <= 0.95) & (abs(y) <= 0.3), (abs(x) <= 0.3) & (abs(y) <= 0.95)
        return wide | high
    return (y <= 0.85) & (abs(x) <= (y + 1.0) / 1.85)


def write(
    out: Path, settings: ClipSettings, seed: int, *, progress: bool = True
) -> dict[str, Path]:
    """Writes `<out>/{train,validation,test}.jsonl` and `<out>/videos/*.mp4`.

    Nothing is written when a manifest of the same settings and seed is there already.

    Args:
        out: folder; created where missing. Old clips of other settings in it are removed.
        settings: numbers and sizes of the clips.
        seed: decides every event, query and pixel.
        progress: show a progress bar.

    Returns:
        Path of the JSONL file of each split.
    """
    wanted = {"version": VERSION, "seed": seed, **dataclasses.asdict(settings)}
    make = partial(_write_clip, out, settings, seed)
    return write_splits(out, settings, wanted, make, progress=progress)


def write_splits(
    out: Path,
    settings: ClipSettings,
    wanted: dict[str, Any],
    make: Callable[[str, int], list[dict]],
    *,
    progress: bool,
) -> dict[str, Path]:
    """`write` for any kind of clip: `make(split, index)` writes one and returns its rows.

    `wanted` is the manifest: all that decides the content.
    """
    paths = {split: out / f"{split}.jsonl" for split in SPLITS}
    manifest = out / "manifest.json"
    wanted = json.loads(json.dumps(wanted))  # tuples become lists, as in what is read back
    if manifest.exists() and json.loads(manifest.read_text("utf-8")) == wanted:
        logger.info("clips of these settings are there already: %s", out)
        return paths
    manifest.unlink(missing_ok=True)
    shutil.rmtree(out / "videos", ignore_errors=True)
    (out / "videos").mkdir(parents=True)
    numbers = [(split, i) for split in SPLITS for i in range(getattr(settings, split))]
    with ThreadPoolExecutor(2) as pool:
        written = pool.map(lambda number: make(*number), numbers)
        rows = list(_with_progress(written, len(numbers), progress))
    for split, path in paths.items():
        lines = [json.dumps(row) for pair in rows for row in pair if row["split"] == split]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    manifest.write_text(json.dumps(wanted, indent=2) + "\n", "utf-8")
    return paths


def _with_progress(items: Iterable[list[dict]], total: int, show: bool) -> Iterable[list[dict]]:
    from rich.progress import track

    return track(items, "writing clips", total=total, disable=not show)


def _write_clip(out: Path, settings: ClipSettings, seed: int, split: str, index: int) -> list[dict]:
    """Writes one mp4 and returns its rows: one question about each event."""
    noise_seed = [seed, SPLITS.index(split), index]
    events = plan(settings, seed, split, index)
    name = f"{split}_{index:04d}"
    encode(out / "videos" / f"{name}.mp4", draw(settings, events, noise_seed), settings)
    wordings = np.random.default_rng([*noise_seed, 2]).integers(0, 3, size=len(events))
    return [
        {
            "id": f"demo_{name}_{number}",
            "task": "grounding",
            "video": f"videos/{name}.mp4",
            "query": event.query(int(wording)),
            "spans": [[event.start_seconds, event.end_seconds]],
            "duration": settings.duration_seconds,
            "source": "demo",
            "split": split,
            "extra": {"kind": event.kind},
        }
        for number, (event, wording) in enumerate(zip(events, wordings, strict=True))
    ]


def encode(
    path: Path, frames: np.ndarray, settings: ClipSettings, preset: str = "veryfast"
) -> None:
    """Writes uint8 frames [T, H, W, 3] as H.264 in mp4, byte for byte the same every time.

    The preset is x264's. Below 128 pixels only "ultrafast" gives the same bytes every time.
    """
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=settings.frames_per_second)
        stream.width = stream.height = settings.edge_pixels
        stream.pix_fmt = "yuv420p"
        # with several threads the encoder's decisions may differ from run to run
        stream.options = {"crf": "23", "preset": preset, "threads": "1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
