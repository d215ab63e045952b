"""Grounding: how far the spans of an answer overlap the true ones (R1@m and mean IoU)."""

from __future__ import annotations

from collections.abc import Sequence

from temporal_plugin import spans
from temporal_plugin.answers import REFUSAL, Answer
from temporal_plugin.spans import Span

THRESHOLDS = (0.3, 0.5, 0.7)
RECALLS = tuple(f"r1@{threshold}" for threshold in THRESHOLDS)
FAILURES = ("parse_failure", "refusal")
GROUNDING_KEYS = ("miou", *RECALLS, *FAILURES)


def grounding_item(answer: Answer, truth: Sequence[Span]) -> dict[str, float]:
    """The scores of one answer: its IoU, whether that reaches 0.3, 0.5, 0.7, and what failed.

    R1@m and mean IoU as Charades-STA, ActivityNet-Captions and TVGBench report them: IoU >= m
    counts, and the mean is over all questions. Several spans, in the answer or in the truth,
    stand for their union. `parse_failure` is an answer without a span; `refusal` says that there
    is no such moment: understood and wrong, so that it is no parse failure.

    Args:
        answer: of `answers.parse`.
        truth: the true spans in seconds, relative to what the model sees.

    Raises:
        ValueError: `truth` is empty, the row has nothing to be compared with.
    """
    check_truth("grounding_item", truth)
    overlap = spans.iou(answer.spans, truth) if answer.spans else 0.0
    recalls = (float(overlap >= threshold) for threshold in THRESHOLDS)
    return {
        "miou": overlap,
        **dict(zip(RECALLS, recalls, strict=True)),
        **failures(answer, answered=bool(answer.spans)),
    }


def failures(answer: Answer, *, answered: bool) -> dict[str, float]:
    """`parse_failure` and `refusal` of an answer that is usable (`answered`) or not."""
    refused = not answered and answer.problem == REFUSAL
    return {"parse_failure": float(not answered and not refused), "refusal": float(refused)}


def check_truth(name: str, truth: Sequence[Span]) -> None:
    """Raises ValueError where a row has no true span: our mistake, not the model's."""
    if not truth:
        raise ValueError(f"{name}: the truth holds no span; leave such rows out by name.")
