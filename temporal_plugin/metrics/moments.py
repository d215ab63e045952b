"""QVHighlights: R1 and detection-style mAP, as the benchmark's own evaluation defines them.

Lei et al., "QVHighlights" (arXiv 2107.09609). A language model gives no confidences: the order
of the spans in the answer is their rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from temporal_plugin import spans
from temporal_plugin.answers import Answer
from temporal_plugin.metrics.grounding import GROUNDING_KEYS, check_truth, grounding_item
from temporal_plugin.spans import Span

AP_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))  # 0.5, 0.55 ... 0.95
MOST_WINDOWS = 10  # the benchmark looks at the first ten windows of an answer
MOMENT_KEYS = (*GROUNDING_KEYS, "qvh_r1@0.5", "qvh_r1@0.7", "map@0.5", "map@0.75", "map")


def moment_item(
    answer: Answer, truth: Sequence[Span], duration: float | None = None
) -> dict[str, float]:
    """The keys of `grounding_item` (unions) and the benchmark's own.

    `qvh_r1@m`: the IoU of the first span with its best true window is at least m.
    `map@m`: average precision of the first ten spans at IoU m (`average_precision`);
    `map`: its mean over m = 0.5, 0.55 ... 0.95. Without a span, all of them are zero.

    Args:
        answer: of `answers.parse`; its spans in the order given.
        truth: the true windows in seconds.
        duration: the video's, in seconds, above 0. The benchmark does not cut windows to the
            video, so that no score depends on it; a wrong one is refused.

    Raises:
        ValueError: `truth` is empty, or `duration` is not above 0.
    """
    check_truth("moment_item", truth)
    if duration is not None and not 0.0 < duration < float("inf"):
        raise ValueError(
            f"moment_item: duration is {duration!r}; it must be finite and above 0. "
            "Give the sample the duration of the clip that the model sees."
        )
    overlaps = [[spans.iou(span, true) for true in truth] for span in answer.spans[:MOST_WINDOWS]]
    first = max(overlaps[0]) if overlaps else 0.0
    precisions = {level: average_precision(overlaps, level) for level in AP_THRESHOLDS}
    return {
        **grounding_item(answer, truth),
        "qvh_r1@0.5": float(first >= 0.5),
        "qvh_r1@0.7": float(first >= 0.7),
        "map@0.5": precisions[0.5],
        "map@0.75": precisions[0.75],
        "map": fmean(precisions.values()),
    }


def average_precision(overlaps: Sequence[Sequence[float]], threshold: float) -> float:
    """Interpolated average precision of ranked windows of one query, in [0, 1].

    In the order of rank, each window takes the free true window it overlaps most (of equal ones
    the later), if that IoU is at least `threshold`; otherwise it is a false positive. Precision is
    made non-increasing from the end, and summed over the steps of recall (Pascal VOC 2011, all
    points).

    Args:
        overlaps: IoU of each ranked window with each true window, [windows, true windows].
    """
    if not overlaps:
        return 0.0
    free = set(range(len(overlaps[0])))
    positives = len(free)
    hits: list[bool] = []
    for row in overlaps:
        best = max(free, key=lambda j: (row[j], j), default=None)
        hit = best is not None and row[best] >= threshold
        if hit:
            free.remove(best)
        hits.append(hit)
    total, later, found = 0.0, 0.0, sum(hits)
    for rank in range(len(hits), 0, -1):
        later = max(later, found / rank)  # the best precision at this rank or after it
        if hits[rank - 1]:
            total += later
            found -= 1
    return total / positives
