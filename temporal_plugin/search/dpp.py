"""Relevant and diverse frames: greedy MAP of a determinantal point process, without its kernel.

The kernel of TimeSearch-R (arXiv 2511.05489, section 3) is `L = diag(r) S diag(r)` with the
frames' cosine similarities S = H H^T and their relevance r. Each greedy step adds the frame whose
gain `log det L` grows most. Gains only shrink (submodularity), so a frame's last known gain bounds
its present one, and most frames never have to be looked at again: the incremental Cholesky rows of
Chen et al., "Fast Greedy MAP Inference for DPPs" (arXiv 1709.05135), are completed on demand.
"""

from __future__ import annotations

import numpy as np

#: gains below this share of the greatest possible one are rounding errors of a duplicate
NEGLIGIBLE = 1e-6
FIRST_BATCH = 32  # candidates brought up to date at once; doubled until the best is certain


def select(
    features: np.ndarray, query: np.ndarray, k: int, *, theta: float | None = None
) -> list[int]:
    """`k` frames that fit the query and differ from each other, as sorted frame numbers.

    Frames that add nothing (duplicates, frames of no relevance) are taken only where fewer than
    `k` others are left, evenly over the video.

    Args:
        features: float [N, D], one L2-normalised row per frame.
        query: float [D], L2-normalised.
        k: how many; all frames where there are no more.
        theta: weight of relevance against diversity in [0, 1); None takes relevance as it is,
            otherwise it becomes `exp(theta / (2 (1 - theta)) * relevance)`.

    Raises:
        ValueError: shapes disagree, a value is not finite, k below 1, or theta out of range.
    """
    _check(features, query, k, theta)
    if len(features) <= k:
        return list(range(len(features)))
    weights = relevance(features, query)
    if theta is not None:
        weights = np.exp(theta / (2.0 * (1.0 - theta)) * weights)
    chosen = greedy(features, weights, k)
    return sorted(chosen + _evenly(len(features), chosen, k - len(chosen)))


def relevance(features: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float64 [N] in [0, 1]: similarities with the query, scaled so that 0 and 1 occur.

    Where all are equal, up to rounding, each frame counts 1: nothing but diversity is left.

    Raises:
        ValueError: a frame's features are not finite.
    """
    scores = (features @ query.astype(features.dtype)).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise ValueError(
            f"the features of {bad.size} frames, such as frame {bad[0]}, are not finite; "
            "embed the video again"
        )
    low, high = scores.min(), scores.max()
    spread = high - low
    if spread <= NEGLIGIBLE * max(1.0, abs(high)):
        return np.ones(len(scores))
    return (scores - low) / spread


def greedy(features: np.ndarray, weights: np.ndarray, k: int) -> list[int]:
    """The greedy choice in its order; fewer than `k` where no other frame adds anything.

    Args:
        features: float [N, D], rows of length 1.
        weights: float64 [N], at least 0.
    """
    gains = weights.astype(np.float64) ** 2  # det of one frame: its own entry of L
    floor = NEGLIGIBLE * float(gains.max(initial=0.0))
    rows = np.zeros((k, len(gains)))  # Cholesky rows [step, frame], complete up to `done`
    done = np.zeros(len(gains), dtype=np.int64)
    chosen: list[int] = []
    while len(chosen) < k:
        best = _best(features, weights, gains, rows, done, chosen)
        if gains[best] <= floor:
            break
        chosen.append(best)
    return chosen


def _best(
    features: np.ndarray,
    weights: np.ndarray,
    gains: np.ndarray,
    rows: np.ndarray,
    done: np.ndarray,
    chosen: list[int],
) -> int:
    """The frame of greatest gain, the first of equals; brings as few gains up to date as it can.

    Changes `gains`, `rows` and `done` of the frames it looks at; chosen ones get the gain -1.
    """
    if chosen:
        gains[chosen[-1]], pivot = -1.0, gains[chosen[-1]]
        rows[len(chosen) - 1, chosen[-1]] = np.sqrt(pivot)
        done[chosen[-1]] = len(chosen)
    size = min(FIRST_BATCH, len(gains))
    while True:
        if size < len(gains):
            batch = np.argpartition(-gains, size - 1)[:size]
        else:
            batch = np.arange(len(gains))
        stale = batch[(done[batch] < len(chosen)) & (gains[batch] >= 0.0)]
        if stale.size:
            _update(features, weights, gains, rows, done, chosen, stale)
        top = gains.max()
        leaders = np.flatnonzero(gains == top)
        if (done[leaders] == len(chosen)).all():
            return int(leaders[0])
        size = min(2 * size, len(gains))


def _update(features, weights, gains, rows, done, chosen, stale) -> None:
    """Complete the Cholesky rows of the frames `stale` and lower their gains accordingly."""
    similar = features[stale] @ features[chosen].T  # [stale, chosen]
    similar = similar.astype(np.float64) * weights[stale, None] * weights[chosen][None, :]
    for step, frame in enumerate(chosen):
        behind = done[stale] <= step
        if not behind.any():
            continue
        frames = stale[behind]
        known = rows[:step, frames].T @ rows[:step, frame]
        entry = (similar[behind, step] - known) / rows[step, frame]
        rows[step, frames] = entry
        gains[frames] = np.maximum(gains[frames] - entry**2, 0.0)
    done[stale] = len(chosen)


def _evenly(count: int, taken: list[int], missing: int) -> list[int]:
    """`missing` of the frames not in `taken`, evenly over them."""
    if missing == 0:
        return []
    free = np.setdiff1d(np.arange(count), taken)
    places = np.linspace(0, len(free) - 1, missing).round().astype(int)
    return free[places].tolist()


def _check(features: np.ndarray, query: np.ndarray, k: int, theta: float | None) -> None:
    if features.ndim != 2 or query.shape != features.shape[1:]:
        raise ValueError(
            f"features have the shape {features.shape} and the query {query.shape}; needed: "
            "[frames, dimensions] and [dimensions] of the same encoder"
        )
    if k < 1:
        raise ValueError(f"k is {k}; at least one frame must be asked for")
    if theta is not None and not 0.0 <= theta < 1.0:
        raise ValueError(f"theta is {theta}; allowed: 0 <= theta < 1, or None")
    if not np.isfinite(query).all():
        raise ValueError("the query's embedding is not finite; embed it again")
