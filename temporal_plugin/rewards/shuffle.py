"""Does an answer depend on the order of time? The same question on a reordered video.

A model that reads the order of events cannot give the same answer when the frames come reversed
or shuffled; one that guesses from the words of the question or from single frames can. These
functions compare two answers to one question. The second costs a further rollout per compared
answer, on `video.reorder.reordered` frames, whose clock runs on as before.
"""

from __future__ import annotations

from collections.abc import Sequence

from temporal_plugin import spans
from temporal_plugin.answers import Answer
from temporal_plugin.rewards.choice import choice
from temporal_plugin.rewards.model import Graded, need_duration, one_of, true_choice
from temporal_plugin.rewards.overlap import iou
from temporal_plugin.spans import Span

ORDERS = ("reversed", "shuffled")


def mirrored(answered: Sequence[Span], duration_seconds: float) -> tuple[Span, ...]:
    """Where the spans lie once the video runs backwards: `[s, e)` becomes `[T - e, T - s)`.

    What lies past the end of the video is cut off.
    """
    return tuple(
        Span(max(0.0, duration_seconds - s.end_seconds), duration_seconds - s.start_seconds)
        for s in answered
        if s.start_seconds <= duration_seconds
    )


def order_sensitivity(
    answer: Answer, changed: Answer, sample: Graded, *, order: str = "reversed"
) -> float:
    """How far the answer moved with the order of time, in [0, 1]; right or wrong does not count.

    Where the sample has spans: `1 - IoU(answer, changed)`. An answer about the middle of a
    reversed video stays in its place for a good reason, so there the part of the IoU that the
    answer has with its own mirror image is free: `1 - max(0, IoU - own) / (1 - own)`, and 1.0
    where it is its own mirror image. Elsewhere: 1.0 for another letter, which means something
    for questions about order only.
    No usable second answer (a refusal too) is a different answer; no usable first one gives 0.0.

    Args:
        answer: to the video as it is.
        changed: to the same question on the reordered video.
        sample: the question; a reversed video needs its duration.
        order: "reversed" or "shuffled".

    Raises:
        ValueError: another order, or no duration.
    """
    one_of("shuffle_consistency", "order", order, ORDERS)
    if sample.spans:
        return _moved(answer.spans, changed.spans, sample, order) if answer.spans else 0.0
    return float(answer.choice is not None and answer.choice != changed.choice)


def _moved(first: Sequence[Span], second: Sequence[Span], sample: Graded, order: str) -> float:
    stayed = spans.iou(first, second)
    if order == "shuffled":
        return 1.0 - stayed
    duration = need_duration("shuffle_consistency", sample, "order=shuffled")
    own = spans.iou(first, mirrored(first, duration))
    if own >= 1.0:
        return 1.0
    return 1.0 - max(0.0, stayed - own) / (1.0 - own)


def shuffle_consistency(
    answer: Answer, changed: Answer, sample: Graded, *, order: str = "reversed"
) -> float:
    """`order_sensitivity` times how right the answer is on the true order, in [0, 1].

    Right is the IoU with the true spans, times 1 or 0 for the letter where one is to be chosen.
    So a right answer that follows the video scores most, and answering at random earns nothing.
    A sample without spans or choice scores 0.0: its answer, a refusal, has no order.

    Raises:
        ValueError: as `order_sensitivity`.
    """
    right = iou(answer, sample) if sample.spans else float(true_choice(sample) is not None)
    if true_choice(sample) is not None:
        right *= choice(answer, sample)
    return right * order_sensitivity(answer, changed, sample, order=order)
