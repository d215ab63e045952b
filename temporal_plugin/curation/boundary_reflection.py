"""Which annotations are incomplete: a model looks for the event where the annotation has none.

The model sees only what lies outside of a sample's annotated spans and names, K times, every
moment that matches the query. Time that at least `agree` of the K answers name counts as found;
where enough of it lies beyond a margin around the annotation, the sample is partial. The idea is
VideoTG-R1's (arXiv 2510.23397), whose constants and prompts are not public: these are our own.

Agreement is counted at each moment of time, not between pairs of segments: "how many answers
name this moment" needs no threshold of similarity, does not depend on the order of answers, and
asking for more agreement can only take time away.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from temporal_plugin.curation.boundary_rows import Reflection
from temporal_plugin.spans import Span, merged

SLACK_SECONDS = 1e-6
"""By so much a length may fall short for the rounding of floats: 7.3 - 6.3 is below 1."""

Pairs = Sequence[Sequence[float]]


@dataclass(frozen=True)
class ReflectionSettings:
    """When a sample is partial.

    Attributes:
        agree: answers that must name a moment, 1 or more; answers that cannot be read name none.
        margin_seconds, margin_share: the margin around each annotated span is the larger of
            these seconds and this share of the video's duration; what is found within it is
            taken for the annotation's own imprecise edge.
        least_seconds: found time beyond the margin makes a sample partial from this length of
            one uninterrupted stretch on; above 0.

    Raises:
        ValueError: a value outside of what is allowed.
    """

    agree: int = 2
    margin_seconds: float = 1.0
    margin_share: float = 0.02
    least_seconds: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.agree, bool) or not isinstance(self.agree, int) or self.agree < 1:
            raise ValueError(f"agree is {self.agree!r}; allowed: a whole number from 1")
        for name in ("margin_seconds", "margin_share", "least_seconds"):
            _check_number(name, getattr(self, name))
        if self.margin_share > 1:
            raise ValueError(f"margin_share is {self.margin_share!r}; allowed: 0 to 1")
        if self.least_seconds == 0:
            raise ValueError("least_seconds is 0; allowed: above 0, or any moment makes a partial")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any] | None) -> ReflectionSettings:
        """From YAML; what is not given has its default.

        Raises:
            ValueError: an unknown setting, or a value outside of what is allowed.
        """
        allowed = [item.name for item in fields(cls)]
        unknown = sorted(set(values or {}) - set(allowed))
        if unknown:
            raise ValueError(f"reflection has no setting {unknown}; allowed: {', '.join(allowed)}")
        return cls(**(values or {}))

    def margin(self, duration_seconds: float | None) -> float:
        """Seconds around each annotated span; of an unknown duration `margin_seconds`."""
        return max(self.margin_seconds, self.margin_share * (duration_seconds or 0.0))

    def largest_beyond(
        self, found: Sequence[Span], truth: Sequence[Span], duration_seconds: float | None
    ) -> float:
        """Seconds of the longest stretch of `found` that lies beyond the margin; 0.0 of none."""
        margin = self.margin(duration_seconds)
        wide = [
            Span(max(0.0, span.start_seconds - margin), span.end_seconds + margin) for span in truth
        ]
        return max((part.length_seconds for part in without(found, wide)), default=0.0)

    def is_partial(
        self, found: Sequence[Span], truth: Sequence[Span], duration_seconds: float | None
    ) -> bool:
        """Whether time found outside of the annotation is enough to call it incomplete."""
        beyond = self.largest_beyond(found, truth, duration_seconds)
        return beyond >= self.least_seconds - SLACK_SECONDS

    def is_worth_asking(self, truth: Sequence[Span], duration_seconds: float) -> bool:
        """Whether any answer could make the sample partial.

        Not so where the annotation and its margin leave no stretch of `least_seconds`: spans that
        cover the video, and with the default settings every video under 2 seconds.
        """
        return self.is_partial([Span(0.0, duration_seconds)], truth, duration_seconds)


def _check_number(name: str, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}; allowed: a number from 0")


def without(spans: Sequence[Span], holes: Sequence[Span]) -> list[Span]:
    """What of the union of `spans` lies in none of `holes`: disjoint, in order, none empty."""
    left: list[Span] = []
    cuts = [hole for hole in merged(holes) if hole.length_seconds > 0]
    for span in merged(spans):
        start = span.start_seconds
        for cut in cuts:
            if cut.end_seconds <= start or cut.start_seconds >= span.end_seconds:
                continue
            if cut.start_seconds > start:
                left.append(Span(start, cut.start_seconds))
            start = max(start, cut.end_seconds)
        if start < span.end_seconds:
            left.append(Span(start, span.end_seconds))
    return left


def agreed(answers: Sequence[Sequence[Span]], agree: int) -> list[tuple[Span, int]]:
    """The stretches of time that at least `agree` of the answers name, in order.

    An answer names a moment once, however many of its spans hold it.

    Returns:
        Each maximal stretch with its votes: the most answers that name one moment of it.
    """
    steps: dict[float, int] = {}  # time -> how many answers more (or fewer) name what follows
    for answer in answers:
        for span in merged(answer):
            steps[span.start_seconds] = steps.get(span.start_seconds, 0) + 1
            steps[span.end_seconds] = steps.get(span.end_seconds, 0) - 1
    found: list[tuple[Span, int]] = []
    votes, most, start = 0, 0, None
    for time in sorted(steps):
        votes += steps[time]
        if votes >= agree:
            start = time if start is None else start
            most = max(most, votes)
        elif start is not None:
            if start < time:
                found.append((Span(start, time), most))
            start, most = None, 0
    return found


def reflect(
    id: str,
    answers: Sequence[Pairs],
    truth: Pairs,
    *,
    duration_seconds: float | None = None,
    settings: ReflectionSettings | None = None,
    source: str = "",
    none: int = 0,
    unparsable: int = 0,
) -> Reflection:
    """What `answers` say about the annotation `truth` of a sample.

    Time within the annotation, which was not shown, and past the end of the video does not count.

    Args:
        id: of the sample.
        answers: per answer its spans as [start, end] in seconds; none where it names none.
        truth: the annotated spans, one or several.
        duration_seconds: of what the annotation speaks of; None where unknown.
        settings: the defaults where not given.
        source: the sample's dataset.
        none, unparsable: how many of the answers name no moment, or cannot be read.

    Raises:
        ValueError: no annotated span, or counts that contradict `answers`.
    """
    if not truth:
        raise ValueError(f"{id}: no annotated span, so that nothing is outside of it")
    rule = settings or ReflectionSettings()
    true = merged([Span(*pair) for pair in truth])
    hidden = true
    if duration_seconds is not None:
        hidden = [*true, Span(duration_seconds, sys.float_info.max)]
    named = [without([Span(*pair) for pair in answer], hidden) for answer in answers]
    found = agreed(named, rule.agree)
    outside = [span for span, _ in found]
    return Reflection(
        id=id,
        span=tuple((float(start), float(end)) for start, end in truth),
        outside=tuple((span.start_seconds, span.end_seconds) for span in outside),
        votes=tuple(votes for _, votes in found),
        partial=rule.is_partial(outside, true, duration_seconds),
        source=source,
        duration=duration_seconds,
        answers=len(answers),
        none=none,
        unparsable=unparsable,
    )
