"""What can be wrong with true spans, and what a load does about it.

| fault | meaning | `drop` | `clip` | `keep` |
|---|---|---|---|---|
| `reversed_span` | end before start | row dropped | row dropped | row dropped |
| `negative_start` | starts before zero | row dropped | row dropped | row dropped |
| `empty_span` | start equals end | row dropped | row dropped | unchanged |
| `starts_past_end` | starts at or after the video's end | row dropped | row dropped | unchanged |
| `past_end` | ends > 0.5 s past the video's end | row dropped | end cut | unchanged |
| `past_end_over_1_s` | ... and more than 1 s past it | row dropped | end cut | unchanged |
| `past_twice_the_end` | ... and past twice its length | row dropped | row dropped | unchanged |
| `past_end_within_tolerance` | ends <= 0.5 s past it | unchanged | end cut | unchanged |
| `no_span` | a grounding task without a span | row dropped | row dropped | unchanged |
| `no_duration` | length unknown, ends cannot be checked | unchanged | unchanged | unchanged |

"End cut" puts the span's end at the video's end. Everything, the unchanged rows too, is counted.
A row can have several faults and counts once under each; a single bad span drops its whole row,
since scoring the rest would change what the question asks.
An end past twice the length is another time altogether (a frame number, minutes read as hours), so
that cutting it would make up a label.
The tolerance covers annotations rounded to a tenth or to whole frames beside a measured length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from temporal_plugin.spans import Span

if TYPE_CHECKING:
    from temporal_plugin.annotations.sample import Sample

TOLERANCE_SECONDS = 0.5
POLICIES = ("drop", "clip", "keep")

UNHOLDABLE = frozenset({"reversed_span", "negative_start"})
HARMLESS = frozenset({"past_end_within_tolerance", "no_duration"})
CLIPPABLE = frozenset({"past_end", "past_end_over_1_s", "past_end_within_tolerance"})


def span_faults(
    pairs: Iterable[tuple[float, float]], duration_seconds: float | None
) -> tuple[str, ...]:
    """The faults of `(start, end)` pairs in seconds, each named once, in a fixed order."""
    found: dict[str, None] = {}
    for start, end in pairs:
        if end < start:
            found["reversed_span"] = None
        if start < 0:
            found["negative_start"] = None
        if end == start:
            found["empty_span"] = None
        if duration_seconds is None:
            continue
        if start >= duration_seconds:
            found["starts_past_end"] = None
        if end > duration_seconds + TOLERANCE_SECONDS:
            found["past_end"] = None
            if end > duration_seconds + 1:
                found["past_end_over_1_s"] = None
            if end > 2 * duration_seconds:
                found["past_twice_the_end"] = None
        elif end > duration_seconds:
            found["past_end_within_tolerance"] = None
    return tuple(sorted(found))


def sample_faults(sample: Sample) -> tuple[str, ...]:
    """The faults of a sample's spans, with those of the sample as a whole."""
    pairs = [(span.start_seconds, span.end_seconds) for span in sample.spans]
    found = span_faults(pairs, sample.duration)
    if not pairs and sample.task in ("grounding", "grounded_choice"):
        found += ("no_span",)
    if pairs and sample.duration is None:
        found += ("no_duration",)
    return found


def mend(sample: Sample, faults: tuple[str, ...], policy: str) -> Sample | None:
    """The sample as `policy` wants it: the same object, a clipped copy, or None (drop)."""
    if policy == "keep":
        return sample
    bad = set(faults) - HARMLESS
    if policy == "drop":
        return None if bad else sample
    if bad - CLIPPABLE:
        return None
    if not CLIPPABLE & set(faults):
        return sample
    end = sample.duration
    return replace(
        sample,
        spans=tuple(Span(s.start_seconds, min(s.end_seconds, end)) for s in sample.spans),
    )
