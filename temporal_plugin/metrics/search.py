"""Temporal search: how well the frames that a model looked at are those that hold the answer.

Precision and recall of T* (Ye et al., "Re-thinking Temporal Search for Long-Form Video
Understanding", arXiv 2504.02259), as TimeSearch-R reports them: by time and by looks (SSIM).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from temporal_plugin.metrics.ssim import pairwise_ssim

TOLERANCE_SECONDS = 5.0
SEARCH_KEYS = ("temporal_precision", "temporal_recall", "temporal_f1")
VISUAL_SEARCH_KEYS = ("visual_precision", "visual_recall")


def temporal_search_item(
    predicted_seconds: Sequence[float],
    truth_seconds: Sequence[float],
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> dict[str, float]:
    """Precision, recall and F1 of the times a model looked at; F1 is per question.

    Precision is the share of distinct predicted times within `tolerance_seconds` (inclusive) of
    a true one, recall the share of true times within it of a predicted one. No predicted time
    gives zero everywhere: the benchmark's script leaves such questions out, here they count. A
    predicted time that is NaN or infinite is near nothing, and stays in the denominator.

    Args:
        predicted_seconds, truth_seconds: seconds in the video, in any order.

    Raises:
        ValueError: no true time, a true time that is not finite, or a tolerance below 0.
    """
    truth = np.asarray(truth_seconds, dtype=np.float64).ravel()
    if not truth.size or not np.isfinite(truth).all():
        raise ValueError(
            f"temporal_search_item: the true times are {list(truth_seconds)!r}; at least one is "
            "needed and all must be finite. Leave such rows out by name."
        )
    if not tolerance_seconds >= 0.0:
        raise ValueError(
            f"temporal_search_item: tolerance_seconds is {tolerance_seconds!r}; 0 or more is "
            f"allowed, the benchmark takes {TOLERANCE_SECONDS:g}."
        )
    predicted = np.unique(np.asarray(predicted_seconds, dtype=np.float64))  # NaNs become one
    if not predicted.size:
        return dict.fromkeys(SEARCH_KEYS, 0.0)
    # [predicted, true]; a comparison with NaN is false
    near = np.abs(predicted[:, None] - truth[None, :]) <= tolerance_seconds
    precision, recall = float(near.any(axis=1).mean()), float(near.any(axis=0).mean())
    return dict(zip(SEARCH_KEYS, (precision, recall, _harmonic(precision, recall)), strict=True))


def visual_search_item(
    predicted_frames: Sequence[np.ndarray] | np.ndarray,
    truth_frames: Sequence[np.ndarray] | np.ndarray,
    *,
    released_planes: bool = False,
) -> dict[str, float]:
    """Precision and recall by looks: a predicted frame is as good as its most similar true one.

    Precision is the mean over predicted frames of the greatest SSIM with a true frame, recall
    the converse; a negative SSIM counts 0. No predicted frame gives zero. The benchmark's F1 is
    not a mean over questions: see `visual_f1`.

    Args:
        predicted_frames, truth_frames: uint8 RGB, [N, H, W, 3], all of one size.
        released_planes: as in `pairwise_ssim`; needed beside published numbers.

    Raises:
        ValueError: no true frame, or frames of another shape or dtype.
    """
    if not len(truth_frames):
        raise ValueError("visual_search_item: no true frame; leave such rows out by name.")
    if not len(predicted_frames):
        return dict.fromkeys(VISUAL_SEARCH_KEYS, 0.0)
    similar = pairwise_ssim(
        np.asarray(predicted_frames), np.asarray(truth_frames), released_planes=released_planes
    )
    similar = np.clip(similar, 0.0, 1.0)
    precision, recall = similar.max(axis=1).mean(), similar.max(axis=0).mean()
    return dict(zip(VISUAL_SEARCH_KEYS, (float(precision), float(recall)), strict=True))


def visual_f1(mean_precision: float, mean_recall: float) -> float:
    """The benchmark's visual F1: the harmonic mean of the two means over all questions."""
    return _harmonic(mean_precision, mean_recall)


def _harmonic(a: float, b: float) -> float:
    return 2.0 * a * b / (a + b) if a + b > 0.0 else 0.0
