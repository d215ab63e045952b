"""Spans of time and how far two answers overlap: the only IoU, IoP and tIoU of this package.

Times are seconds from the beginning of what the model sees. A span is half-open,
`[start_seconds, end_seconds)`. Every function takes one `Span` or a sequence of them; a
sequence stands for the union of its spans, so overlapping spans are not counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_INFINITY = float("inf")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of time in seconds, `0 <= start_seconds <= end_seconds`, finite.

    Raises:
        ValueError: a bound is NaN, infinite, negative, not a number, or the span is reversed.
    """

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        start, end = self.start_seconds, self.end_seconds
        if type(start) is not float or type(end) is not float:
            start, end = _as_seconds(start), _as_seconds(end)
            object.__setattr__(self, "start_seconds", start)
            object.__setattr__(self, "end_seconds", end)
        if not 0.0 <= start <= end < _INFINITY:  # false for NaN as well
            raise ValueError(
                f"Span({start}, {end}): a span needs finite seconds with 0 <= start <= end. "
                "Drop the row, or correct its times; reversed spans are never swapped."
            )

    @property
    def length_seconds(self) -> float:
        """Seconds from start to end, 0.0 or more."""
        return self.end_seconds - self.start_seconds


Spans = Span | Sequence[Span]


def _as_seconds(value: object) -> float:
    """`value` as a float; strings and booleans are refused, they are a reader's mistake."""
    if isinstance(value, (str, bytes, bool)):
        raise ValueError(f"Span: {value!r} is not a number of seconds; convert it when reading.")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, OverflowError) as error:
        raise ValueError(f"Span: {value!r} is not a number of seconds: {error}.") from error


def merged(spans: Spans) -> list[Span]:
    """The union of `spans` as disjoint spans in order; touching spans become one."""
    if isinstance(spans, Span):
        return [spans]
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.start_seconds <= result[-1].end_seconds:
            last = result[-1]
            end = max(last.end_seconds, span.end_seconds)
            result[-1] = Span(last.start_seconds, end)
        else:
            result.append(span)
    return result


def hull(spans: Spans) -> Span:
    """The shortest span that holds all of `spans`.

    Raises:
        ValueError: `spans` is empty.
    """
    if isinstance(spans, Span):
        return spans
    if not spans:
        raise ValueError("hull: no spans given; check for an empty answer first.")
    return Span(min(s.start_seconds for s in spans), max(s.end_seconds for s in spans))


def _measure(spans: Iterable[Span]) -> float:
    return sum(span.end_seconds - span.start_seconds for span in spans)


def _intersection(a: list[Span], b: list[Span]) -> float:
    """Seconds that lie in both; `a` and `b` are disjoint and in order."""
    total = 0.0
    i = j = 0
    while i < len(a) and j < len(b):
        left = max(a[i].start_seconds, b[j].start_seconds)
        right = min(a[i].end_seconds, b[j].end_seconds)
        total += max(0.0, right - left)
        if a[i].end_seconds <= b[j].end_seconds:
            i += 1
        else:
            j += 1
    return total


def _single(spans: Spans) -> Span | None:
    """The span when there is exactly one, which is nearly always and much faster."""
    if isinstance(spans, Span):
        return spans
    return spans[0] if len(spans) == 1 else None


def iou(a: Spans, b: Spans) -> float:
    """Intersection over union of two answers, in [0, 1].

    Identical answers give exactly 1.0, also when they have no length (a moment); an empty
    sequence overlaps nothing and gives 0.0.
    """
    one, other = _single(a), _single(b)
    if one is None or other is None:
        return _iou_of_sets(merged(a), merged(b))
    overlap = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
    if overlap <= 0.0:
        return 1.0 if one == other else 0.0
    return overlap / (one.length_seconds + other.length_seconds - overlap)


def _iou_of_sets(a: list[Span], b: list[Span]) -> float:
    if not a or not b:
        return 0.0
    if a == b:
        return 1.0
    overlap = _intersection(a, b)
    union = _measure(a) + _measure(b) - overlap
    return min(1.0, overlap / union) if union > 0.0 else 0.0


def iop(pred: Spans, truth: Spans) -> float:
    """Intersection over prediction: which part of `pred` lies in `truth`, in [0, 1].

    A prediction without length counts 1.0 when it equals `truth`, and 0.0 otherwise.
    """
    predicted, true = merged(pred), merged(truth)
    if not predicted or not true:
        return 0.0
    if predicted == true:
        return 1.0
    measure = _measure(predicted)
    return min(1.0, _intersection(predicted, true) / measure) if measure > 0.0 else 0.0


def tiou(pred: Spans, truth: Spans, duration_seconds: float) -> float:
    """Timestamp-aware IoU of Time-R1: `iou * (1 - |ds| / T) * (1 - |de| / T)`, in [0, 1].

    `ds` and `de` are the distances between the two starts and the two ends, T is
    `duration_seconds`. Unlike the original, each factor is clamped to [0, 1], so a truth past
    the end of the video cannot turn the product negative. Of several spans the hull counts.

    Raises:
        ValueError: `duration_seconds` is not a finite number above zero.
    """
    if not 0.0 < duration_seconds < _INFINITY:
        raise ValueError(
            f"tiou: duration_seconds is {duration_seconds!r}; it must be finite and above 0. "
            "Give the sample the duration of the clip that the model sees."
        )
    overlap = iou(pred, truth)
    if overlap == 0.0:
        return 0.0
    predicted, true = _single(pred) or hull(pred), _single(truth) or hull(truth)
    start_error = abs(predicted.start_seconds - true.start_seconds) / duration_seconds
    end_error = abs(predicted.end_seconds - true.end_seconds) / duration_seconds
    return overlap * max(0.0, 1.0 - start_error) * max(0.0, 1.0 - end_error)
