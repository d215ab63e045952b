"""How sure a mean or a difference is, where questions about one video hang together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np


def stderr(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> float:
    """Standard error of the mean, NaN for fewer than two values.

    Without clusters `sqrt(s^2 / n)` with the unbiased variance s^2. With clusters, equation 4
    of Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), as lmms-eval computes it:
    `sqrt(s^2 / n + (1 / n^2) * sum_c sum_{i != j in c} (x_i - mean) (x_j - mean))`.
    """
    n = len(values)
    if clusters is not None and len(clusters) != n:
        raise ValueError(f"stderr: {n} values but {len(clusters)} clusters; give one per value.")
    if n < 2:
        return math.nan
    mean = math.fsum(values) / n
    deviations = [value - mean for value in values]
    variance = math.fsum(d * d for d in deviations) / (n - 1) / n
    if clusters is None:
        return math.sqrt(variance)
    sums: dict[Hashable, float] = {}
    for deviation, cluster in zip(deviations, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + deviation
    cross = math.fsum(s * s for s in sums.values()) - math.fsum(d * d for d in deviations)
    return math.sqrt(max(0.0, variance + cross / n**2))


def paired_bootstrap(
    before: Sequence[float],
    after: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """(mean of after - before, low, high): how sure a difference on the same questions is.

    A percentile bootstrap over questions, or over whole clusters (videos) where given; a
    resample's mean is its sum over its own number of questions. Same seed, same result.

    Raises:
        ValueError: lengths differ, a value is not finite, or a setting is out of range.
    """
    difference = _differences(before, after)
    if resamples < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(
            f"paired_bootstrap: resamples={resamples}, confidence={confidence}; needed are at "
            "least 1 resample and a confidence between 0 and 1."
        )
    sums, counts = _per_cluster(difference, clusters)
    generator = np.random.default_rng(seed)
    groups = len(sums)
    means = np.empty(resamples)
    chunk = max(1, 4_000_000 // groups)  # about 32 MB of drawn indices at a time
    for begin in range(0, resamples, chunk):
        rows = min(chunk, resamples - begin)
        drawn = generator.integers(0, groups, size=(rows, groups))
        means[begin : begin + rows] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return float(difference.mean()), float(low), float(high)


def _differences(before: Sequence[float], after: Sequence[float]) -> np.ndarray:
    """after - before, float64 [questions]."""
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(
            f"paired_bootstrap: before and after have shapes {first.shape} and {second.shape}; "
            "give one score per question in each, in the same order. A failed question is 0."
        )
    difference = second - first
    if not np.isfinite(difference).all():
        raise ValueError("paired_bootstrap: a score is not finite; a failed question is 0.")
    return difference


def _per_cluster(
    values: np.ndarray, clusters: Sequence[Hashable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of each cluster, float64 [clusters] both."""
    if clusters is None:
        return values, np.ones(len(values))
    if len(clusters) != len(values):
        raise ValueError(
            f"paired_bootstrap: {len(values)} questions but {len(clusters)} clusters; "
            "give the video of each question."
        )
    numbers = {cluster: k for k, cluster in enumerate(dict.fromkeys(clusters))}
    index = np.array([numbers[cluster] for cluster in clusters])
    return np.bincount(index, weights=values), np.bincount(index).astype(np.float64)
