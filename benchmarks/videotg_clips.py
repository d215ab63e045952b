"""Demo clips for `bench_videotg.py`: ordinary questions, hard ones, partly annotated ones.

A clip has one question and is of one of three kinds:

  ordinary  a clip of the demo, with a question about its first event of 2 to 4 seconds
  short     the same, but the event lasts 1 second: hard for who has seen longer ones only
  partial   the event happens twice and the annotation holds one of the two

Which clip is of which kind stands in `truth.jsonl`, not in the samples.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from temporal_plugin.demo import clips, repeated_clips
from temporal_plugin.demo.clips import SPLITS, Event
from temporal_plugin.demo.settings import ClipSettings

KINDS = ("ordinary", "short", "partial")
SHORT_SECONDS = 1
TRUTH_FILE = "truth.jsonl"
#: raised whenever the content changes, so that old clips are rewritten
VERSION = 1
_KIND, _START, _WORDING = 5, 6, 7  # parts of the seeds, apart from those of the demo's clips

Mix = Mapping[str, Mapping[str, int]]
"""Split -> kind -> number of clips."""


@dataclasses.dataclass(frozen=True)
class PlannedClip:
    """The plan of one clip.

    Attributes:
        kind: one of `KINDS`.
        occurrences: of the event that is asked for.
        annotated: that of them which the sample's span is.
        others: further events, which the query does not name.
    """

    kind: str
    occurrences: tuple[Event, ...]
    annotated: Event
    others: tuple[Event, ...] = ()


def kinds(counts: Mapping[str, int], seed: int) -> list[str]:
    """The kind of every clip of a split, in an order that the seed decides.

    Raises:
        ValueError: an unknown kind.
    """
    unknown = sorted(set(counts) - set(KINDS))
    if unknown:
        raise ValueError(f"kind {unknown[0]!r} is unknown; allowed: {', '.join(KINDS)}")
    names = [kind for kind in KINDS for _ in range(counts.get(kind, 0))]
    return [names[index] for index in np.random.default_rng([seed, _KIND]).permutation(len(names))]


def plan(kind: str, settings: ClipSettings, seed: int, split: str, index: int) -> PlannedClip:
    """The plan of one clip; the same arguments always give the same plan."""
    if kind == "partial":
        clip = repeated_clips.plan(settings, seed, split, index, planted=1.0, both=0.0)
        others = (clip.distractor,) if clip.distractor else ()
        return PlannedClip(kind, clip.occurrences, clip.annotated[0], others)
    event, *others = clips.plan(settings, seed, split, index)
    if kind == "short":
        rng = np.random.default_rng([seed, SPLITS.index(split), index, _START])
        start = float(rng.integers(int(settings.duration_seconds) - SHORT_SECONDS + 1))
        end = start + SHORT_SECONDS
        event = dataclasses.replace(event, start_seconds=start, end_seconds=end)
        others = [other for other in others if not other.hides(event)]
    return PlannedClip(kind, (event,), event, tuple(others))


def write(out: Path, settings: ClipSettings, seed: int, mix: Mix) -> dict[str, Path]:
    """Writes `<out>/{train,validation,test}.jsonl`, the videos and `<out>/truth.jsonl`.

    Clips of the same settings that are there already are left alone.

    Args:
        out: folder; created where missing. Old clips of other settings in it are removed.
        settings: sizes of the clips; `mix` decides their numbers.
        seed: decides every event, query and pixel.
        mix: how many of which kind in each split.

    Returns:
        Path of the JSONL file of each split, and of "truth": id, kind and all occurrences.
    """
    settings = dataclasses.replace(settings, **{name: sum(mix[name].values()) for name in SPLITS})
    planned = {
        (split, index): plan(kind, settings, seed, split, index)
        for split in SPLITS
        for index, kind in enumerate(kinds(mix[split], seed))
    }
    wanted = {
        **{"videotg": VERSION, "clips": clips.VERSION, "repeated": repeated_clips.VERSION},
        **{"seed": seed, "mix": {split: dict(mix[split]) for split in SPLITS}},
        **dataclasses.asdict(settings),
    }
    out.mkdir(parents=True, exist_ok=True)
    truth = out / TRUTH_FILE
    truth.write_text("".join(_truth(*item) for item in planned.items()), "utf-8")
    make = partial(_write_clip, out, settings, seed, planned)
    return {**clips.write_splits(out, settings, wanted, make, progress=True), "truth": truth}


def kinds_of(truth: Path) -> dict[str, str]:
    """The kind of every clip's question by the sample's id."""
    rows = map(json.loads, truth.read_text("utf-8").splitlines())
    return {row["id"]: row["kind"] for row in rows}


def _id(split: str, index: int) -> str:
    return f"videotg_{split}_{index:04d}"


def _truth(number: tuple[str, int], clip: PlannedClip) -> str:
    occurrences = [[one.start_seconds, one.end_seconds] for one in clip.occurrences]
    return json.dumps({"id": _id(*number), "kind": clip.kind, "occurrences": occurrences}) + "\n"


def _write_clip(
    out: Path,
    settings: ClipSettings,
    seed: int,
    planned: Mapping[tuple[str, int], PlannedClip],
    split: str,
    index: int,
) -> list[dict]:
    """Writes one mp4 and returns its only row."""
    clip = planned[split, index]
    noise_seed = [seed, SPLITS.index(split), index]
    name = f"{split}_{index:04d}"
    frames = clips.draw(settings, [*clip.occurrences, *clip.others], noise_seed)
    clips.encode(out / "videos" / f"{name}.mp4", frames, settings)
    wording = int(np.random.default_rng([*noise_seed, _WORDING]).integers(3))
    row = {
        "id": _id(split, index),
        "task": "grounding",
        "video": f"videos/{name}.mp4",
        "query": clip.annotated.query(wording),
        "spans": [[clip.annotated.start_seconds, clip.annotated.end_seconds]],
        "duration": settings.duration_seconds,
        "source": "demo",
        "split": split,
        "extra": {},
    }
    return [row]
