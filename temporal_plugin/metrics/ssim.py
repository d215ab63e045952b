"""Structural similarity of frames, in numpy (Wang et al. 2004: 11 x 11 Gaussian, sigma 1.5)."""

from __future__ import annotations

import numpy as np

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]


def pairwise_ssim(
    first: np.ndarray, second: np.ndarray, *, released_planes: bool = False
) -> np.ndarray:
    """SSIM of each frame of `first` with each of `second`, float64 [N, M], at most 1.

    Per colour, values scaled to [0, 1], zeros around the picture, mean over all pixels and
    colours.

    Args:
        first, second: uint8 RGB, [N, H, W, 3] and [M, H, W, 3].
        released_planes: filter each picture row as a plane [W, 3], as the released script of
            TimeSearch-R does, which takes the height for the colours. Its published visual scores
            are of this kind and are not comparable with true SSIM.

    Raises:
        ValueError: the arrays have another dtype, shape or size.
    """
    for frames in (first, second):
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(
                f"pairwise_ssim: frames are {frames.dtype} {frames.shape}; "
                "uint8 [N, height, width, 3] is needed."
            )
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"pairwise_ssim: frames of {first.shape[1:3]} and {second.shape[1:3]} pixels; "
            "resize them to one size first."
        )
    blur = _Blur(*(first.shape[2:] if released_planes else first.shape[1:3]))
    one = [_moments(frame, blur, released_planes) for frame in first]
    other = [_moments(frame, blur, released_planes) for frame in second]
    return np.array([[_ssim(a, b, blur) for b in other] for a in one], dtype=np.float64)


class _Blur:
    """A separable Gaussian with zeros around the picture, as two banded matrices."""

    def __init__(self, rows: int, columns: int) -> None:
        self.left, self.right = _band(rows), _band(columns)

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        """float32 [planes, rows, columns], blurred."""
        return self.left @ planes @ self.right  # both matrices are symmetric


def _band(size: int) -> np.ndarray:
    """float32 [size, size]: row i holds the Gaussian centred at i, cut off at the border."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    distance = np.abs(np.arange(size)[:, None] - np.arange(size)[None, :])
    within = distance <= WINDOW // 2
    band = np.where(within, weights[np.minimum(distance, WINDOW // 2) + WINDOW // 2], 0.0)
    return band.astype(np.float32)


def _moments(
    frame: np.ndarray, blur: _Blur, released_planes: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The planes of a frame in [0, 1], their local means and variances."""
    planes = frame if released_planes else frame.transpose(2, 0, 1)
    planes = planes.astype(np.float32) / np.float32(255)
    mean = blur(planes)
    return planes, mean, blur(planes * planes) - mean * mean


def _ssim(
    a: tuple[np.ndarray, np.ndarray, np.ndarray],
    b: tuple[np.ndarray, np.ndarray, np.ndarray],
    blur: _Blur,
) -> float:
    (x, mean_x, variance_x), (y, mean_y, variance_y) = a, b
    product = mean_x * mean_y
    covariance = blur(x * y) - product
    likeness = (2 * product + C1) * (2 * covariance + C2)
    size = (mean_x * mean_x + mean_y * mean_y + C1) * (variance_x + variance_y + C2)
    return float(np.mean(likeness / size, dtype=np.float64))
