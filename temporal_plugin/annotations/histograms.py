"""How long the videos and the spans of a set are, counted in fixed bins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from temporal_plugin.annotations.sample import Sample

VIDEO_EDGES = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Seconds."""
SPAN_EDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
"""Seconds."""
SHARE_EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75)
"""Of what the model sees; 1 is all of it."""


@dataclass(frozen=True)
class Histogram:
    """Counts of values below the first edge, from each edge to the next, and from the last on.

    `low`, `middle` (median) and `high` are None where there is no value.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    low: float | None
    middle: float | None
    high: float | None

    @classmethod
    def of(cls, values: Iterable[float], edges: tuple[float, ...]) -> Histogram:
        values = list(values)
        counts = [0] * (len(edges) + 1)
        for value in values:
            counts[bisect_right(edges, value)] += 1
        if not values:
            return cls(edges, tuple(counts), None, None, None)
        return cls(edges, tuple(counts), min(values), median(values), max(values))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "edges": list(self.edges),
            "counts": list(self.counts),
            "min": self.low,
            "median": self.middle,
            "max": self.high,
        }


def histograms(samples: Iterable[Sample]) -> dict[str, Histogram]:
    """`video_seconds` (once per video and clip), `span_seconds` and `span_share`."""
    videos: dict[tuple, float] = {}
    lengths: list[float] = []
    shares: list[float] = []
    for sample in samples:
        if sample.duration is not None:
            videos[sample.video, sample.clip] = sample.duration
        for span in sample.spans:
            lengths.append(span.end_seconds - span.start_seconds)
            if sample.duration is not None:
                shares.append(lengths[-1] / sample.duration)
    return {
        "video_seconds": Histogram.of(videos.values(), VIDEO_EDGES),
        "span_seconds": Histogram.of(lengths, SPAN_EDGES),
        "span_share": Histogram.of(shares, SHARE_EDGES),
    }
