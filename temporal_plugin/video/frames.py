"""A sampled video: pixels with the time of every frame."""

from dataclasses import dataclass

import numpy as np
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.timing import clock_metadata


@dataclass(frozen=True)
class Frames:
    """Frames sampled from one video.

    Attributes:
        pixels: uint8 [T, C, H, W], RGB, already at the size that the model sees.
        pts_seconds: float64 [T], presentation time of each frame, relative to what the model
            sees (the start of the clip where there is one), rising.
        indices: the frames' numbers in the file [T].
        source_fps: the file's average frames per second.
        total_frames: frames that the file has within the clip.
        clip: the part of the file that was sampled, or None for all of it.

    Raises:
        ValueError: the shapes or the dtype disagree.
    """

    pixels: torch.Tensor
    pts_seconds: np.ndarray
    indices: tuple[int, ...]
    source_fps: float
    total_frames: int
    clip: Span | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise ValueError(
                f"pixels are {self.pixels.dtype} {tuple(self.pixels.shape)}; "
                "needed: uint8 [T, C, H, W]"
            )
        if not len(self.pixels) == len(self.pts_seconds) == len(self.indices):
            raise ValueError(
                f"{len(self.pixels)} frames, {len(self.pts_seconds)} times and "
                f"{len(self.indices)} indices; all three must be equal"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def metadata(self) -> dict:
        """What transformers, vLLM and verl take beside the pixels: see `timing.clock_metadata`."""
        return clock_metadata(self.pts_seconds)
