"""What a seed needs of a sample, and the IoU they all share."""

from __future__ import annotations

from temporal_plugin.rewards.model import Graded, need_duration


def true_span(seed: str, sample: Graded) -> tuple[float, float]:
    """Start and end of the only true span, in seconds.

    Raises:
        ValueError: the sample has several true spans or none, which the seed does not know.
    """
    if len(sample.spans) != 1:
        raise ValueError(
            f"compat {seed!r} needs exactly one true span, sample {sample.id!r} has "
            f"{len(sample.spans)}; leave such samples out of a comparison run."
        )
    (span,) = sample.spans
    return span.start_seconds, span.end_seconds


def duration(seed: str, sample: Graded) -> float:
    """The sample's duration in seconds.

    Raises:
        ValueError: it has none, or one that is not above 0.
    """
    value = need_duration(f"compat {seed}", sample, "another seed")
    if not value > 0.0:
        raise ValueError(f"compat {seed!r}: sample {sample.id!r} lasts {value} s, not above 0.")
    return value


def hull_iou(start: float, end: float, true_start: float, true_end: float) -> float:
    """Overlap over the hull of both spans, 0.0 where the hull has no length.

    A reversed prediction overlaps nothing. No clipping: `1.0 - hull_iou` can be anything where
    numbers are not finite.
    """
    overlap = max(0, min(end, true_end) - max(start, true_start))
    hull = max(end, true_end) - min(start, true_start)
    return overlap / hull if hull > 0 else 0.0
