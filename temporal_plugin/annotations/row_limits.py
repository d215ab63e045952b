"""Rows that are too short, too long or too wordy: a filter of a data config's entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.sample import Sample

KEYS = ("least_seconds", "most_seconds", "most_words")


@dataclass(frozen=True)
class RowLimits:
    """Bounds, each of which belongs to what is kept; None is no bound.

    Attributes:
        least_seconds: shortest video, as the model sees it.
        most_seconds: longest video.
        most_words: words of the longest query, counted between spaces.
    """

    least_seconds: float | None = None
    most_seconds: float | None = None
    most_words: int | None = None

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> RowLimits:
        """Read the keys of an entry.

        Raises:
            AnnotationError: no number above 0, or a least above the most.
        """
        values = {key: entry[key] for key in KEYS if entry.get(key) is not None}
        for key, value in values.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value < float("inf"):
                raise AnnotationError(
                    "not a limit", field=key, value=value, allowed="a number above 0"
                )
        limits = cls(**values)
        low, high = limits.least_seconds, limits.most_seconds
        if low is not None and high is not None and low > high:
            raise AnnotationError(
                "no video is between the limits",
                field="least_seconds",
                value=low,
                allowed=f"at most most_seconds, {high}",
            )
        return limits

    def reasons(self, sample: Sample) -> tuple[str, ...]:
        """Why the sample is not wanted; of an unknown length nothing is said."""
        found, seconds = [], sample.duration
        if seconds is not None and self.least_seconds is not None and seconds < self.least_seconds:
            found.append("video_too_short")
        if seconds is not None and self.most_seconds is not None and seconds > self.most_seconds:
            found.append("video_too_long")
        if self.most_words is not None and len(sample.query.split()) > self.most_words:
            found.append("query_too_long")
        return tuple(found)


NONE = RowLimits()
