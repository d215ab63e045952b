"""Rewards for where the answered spans lie. All are in [0, 1], and 1.0 for the true spans.

A sample without spans asks for an event that is not in the video: each of these gives 1.0 for
saying so, and 0.0 for any span. Where a sample asks for no spans they give 0.0.
"""

from __future__ import annotations

from temporal_plugin import spans
from temporal_plugin.answers import Answer
from temporal_plugin.rewards.model import Graded, need_duration, refusal_credit
from temporal_plugin.spans import Span

_MOST_MATCHED = 256  # spans of an answer that are matched; the table grows with their number


def iou(answer: Answer, sample: Graded) -> float:
    """Intersection over union with the true spans; of several spans the unions count."""
    if not sample.spans:
        return refusal_credit(answer, sample)
    if not answer.spans:
        return 0.0
    return spans.iou(answer.spans, sample.spans)


def tiou(answer: Answer, sample: Graded) -> float:
    """Timestamp-aware IoU of Time-R1 (see `spans.tiou`); needs `sample.duration`.

    Raises:
        ValueError: the sample has no duration.
    """
    if not sample.spans:
        return refusal_credit(answer, sample)
    duration = need_duration("tiou", sample, "iou")
    if not answer.spans:
        return 0.0
    return spans.tiou(answer.spans, sample.spans, duration)


def iop(answer: Answer, sample: Graded) -> float:
    """Intersection over prediction: the part of the answered time that is right.

    A very short answer inside the truth scores 1.0 too, so combine it with `iou`.
    """
    if not sample.spans:
        return refusal_credit(answer, sample)
    return spans.iop(answer.spans, sample.spans)


def matched_iou(answer: Answer, sample: Graded) -> float:
    """The mean IoU of answered and true spans matched one to one.

    Both are put in order of time; the matching that keeps this order and has the largest sum of
    IoU counts, divided by the larger number of spans. So every missing and every invented span
    costs as much as one that is wrong, however short it is: `iou` weighs spans by their length,
    this one counts them. Of an answer with more than 256 spans the first 256 are matched.
    """
    if not sample.spans:
        return refusal_credit(answer, sample)
    predicted, true = sorted(set(answer.spans)), sorted(set(sample.spans))
    most = max(len(predicted), len(true))
    return min(1.0, _best_sum(predicted[:_MOST_MATCHED], true) / most)


def _best_sum(predicted: list[Span], true: list[Span]) -> float:
    """The largest sum of IoU over matchings that keep the order of both lists."""
    best = [0.0] * (len(true) + 1)  # best[j]: of the predicted so far and the first j true ones
    for one in predicted:
        row = [0.0]
        for j, other in enumerate(true):
            row.append(max(best[j + 1], row[j], best[j] + spans.iou(one, other)))
        best = row
    return best[-1]
