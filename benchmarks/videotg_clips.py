"""Demo clips for `bench_videotg.py`: ordinary questions, hard ones, and partly annotated ones.

Each clip has one question, about its first event; the others distract.

  ordinary  the demo's own clip: the event lasts 2 to 4 seconds
  short     the event lasts 1 second: hard for a model that has only seen longer ones
  partial   the event happens twice and the annotation names one occurrence only
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from temporal_plugin.demo import clips
from temporal_plugin.demo.clips import Event
from temporal_plugin.demo.settings import ClipSettings
from temporal_plugin.spans import Span

KINDS = ("ordinary", "short", "partial")
#: seconds between the two occurrences of a repeated event, at least: the reflection's margin
GAP_SECONDS = 1
OCCURRENCE_SECONDS = 2
SHORT_SECONDS = 1


@dataclasses.dataclass(frozen=True)
class Planted:
    """One clip to be written.

    Attributes:
        events: all that is drawn; the question is about the first.
        spans: every occurrence of what the question asks for; the first is the annotated one.
    """

    kind: str
    events: tuple[Event, ...]
    spans: tuple[Span, ...]


def plan(kind: str, settings: ClipSettings, seed: int, split: str, index: int) -> Planted:
    """The events of one clip; the same arguments always give the same ones.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; allowed: {', '.join(KINDS)}")
    event, *others = clips.plan(settings, seed, split, index)
    if kind == "ordinary":
        return Planted(kind, (event, *others), (_span(event),))
    rng = np.random.default_rng([seed, clips.SPLITS.index(split), index, 3])
    seconds = int(settings.duration_seconds)
    if kind == "short":
        start = int(rng.integers(0, seconds - SHORT_SECONDS + 1))
        acting = [_at(event, start, SHORT_SECONDS)]
    else:
        length = OCCURRENCE_SECONDS
        starts = range(seconds - length + 1)
        pairs = [(a, b) for a in starts for b in starts if abs(a - b) >= length + GAP_SECONDS]
        acting = [_at(event, start, length) for start in pairs[rng.integers(len(pairs))]]
    free = [other for other in others if not any(other.hides(one) for one in acting)]
    return Planted(kind, (*acting, *free), tuple(_span(one) for one in acting))


def _at(event: Event, start: int, length: int) -> Event:
    return dataclasses.replace(event, start_seconds=float(start), end_seconds=float(start + length))


def _span(event: Event) -> Span:
    return Span(event.start_seconds, event.end_seconds)


def kinds(counts: Mapping[str, int], seed: int) -> list[str]:
    """The kind of every clip of a split, mixed by the seed."""
    names = [kind for kind in KINDS for _ in range(counts.get(kind, 0))]
    return [names[index] for index in np.random.default_rng([seed, 4]).permutation(len(names))]


def write(
    out: Path, settings: ClipSettings, seed: int, mix: Mapping[str, Mapping[str, int]]
) -> dict[str, Path]:
    """Writes `<out>/<split>.jsonl` and `<out>/videos/*.mp4` unless they are there already.

    Args:
        out: folder; created where missing.
        settings: sizes of the clips; its numbers of clips are not used.
        seed: decides every event, query and pixel.
        mix: split -> kind -> number of clips.

    Returns:
        Path of the JSONL file of each split. `extra.kind` of a row is its kind, `extra.all_spans`
        every occurrence; `spans` is what is annotated.
    """
    paths = {split: out / f"{split}.jsonl" for split in mix}
    manifest = out / "manifest.json"
    wanted = {"seed": seed, "mix": mix, **dataclasses.asdict(settings)}
    wanted = json.loads(json.dumps(wanted | {"version": clips.VERSION}))
    if manifest.exists() and json.loads(manifest.read_text("utf-8")) == wanted:
        return paths
    manifest.unlink(missing_ok=True)
    (out / "videos").mkdir(parents=True, exist_ok=True)
    for split, counts in mix.items():
        planned = [
            plan(kind, settings, seed, split, index)
            for index, kind in enumerate(kinds(counts, seed))
        ]
        with ThreadPoolExecutor(2) as pool:
            rows = list(
                pool.map(
                    lambda item: _write_clip(out, settings, seed, *item),
                    [(split, index, planted) for index, planted in enumerate(planned)],
                )
            )
        paths[split].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    manifest.write_text(json.dumps(wanted, indent=2) + "\n", "utf-8")
    return paths


def _write_clip(
    out: Path, settings: ClipSettings, seed: int, split: str, index: int, planted: Planted
) -> dict:
    noise_seed = [seed, clips.SPLITS.index(split), index]
    name = f"{split}_{index:04d}"
    pixels = clips.draw(settings, list(planted.events), noise_seed)
    clips.encode(out / "videos" / f"{name}.mp4", pixels, settings)
    wording = np.random.default_rng([*noise_seed, 2]).integers(0, 3)
    spans = [[span.start_seconds, span.end_seconds] for span in planted.spans]
    return {
        "id": f"planted_{name}",
        "task": "grounding",
        "video": f"videos/{name}.mp4",
        "query": planted.events[0].query(int(wording)),
        "spans": spans[:1],
        "duration": settings.duration_seconds,
        "source": "demo",
        "split": split,
        "extra": {"kind": planted.kind, "all_spans": spans},
    }
