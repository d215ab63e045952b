"""The size at which a model sees the frames: the rule of qwen-vl-utils 0.0.14, without decoding.

The area of a frame is bounded per frame and by a budget for the whole video; both sides become
multiples of one token's edge.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporal_plugin.video.sampling import Sampling

MERGE = 2  # patches that one token joins along each side (`spatial_merge_size`)
FRAMES_PER_GRID = 2  # frames that one token joins in time (`temporal_patch_size`)
MIN_FRAME_TOKENS = 128  # defaults of qwen-vl-utils for video
MAX_FRAME_TOKENS = 768
MAX_ASPECT = 200


def sequence_tokens() -> int:
    """Default budget of a whole video in tokens; qwen-vl-utils reads the same variable."""
    return int(float(os.environ.get("MODEL_SEQ_LEN", "128000")))


def pixel_limits(frames: int, sampling: Sampling, patch_size: int) -> tuple[float, float]:
    """(least, greatest) height * width of each of `frames` resized frames.

    Raises:
        ValueError: the limits of `sampling` contradict each other.
    """
    area = (patch_size * MERGE) ** 2  # pixels under one token
    total = sampling.limit("total_pixels", area) or sequence_tokens() * area * 0.9
    least_set, most_set = (sampling.limit(name, area) for name in ("min_pixels", "max_pixels"))
    least = least_set or MIN_FRAME_TOKENS * area
    share = total / frames * FRAMES_PER_GRID
    # 1.05: qwen-vl-utils leaves a little room above min_pixels, whatever the budget says
    greatest = max(min(MAX_FRAME_TOKENS * area, share), int(least * 1.05))
    greatest = min(most_set or greatest, greatest)
    if greatest < least:
        raise ValueError(
            f"sampling.max_pixels is {greatest:g} but min_pixels is {least}"
            f"{'' if least_set else ' (the default)'}; set min_pixels to less"
        )
    return least, greatest


def frame_size(
    height: int, width: int, frames: int, sampling: Sampling, patch_size: int = 14
) -> tuple[int, int]:
    """Height and width in pixels of each resized frame, multiples of MERGE * patch_size.

    Args:
        height: of the frames in the file, upright, in pixels.
        width: likewise.
        frames: how many frames are sampled, >= 1.
        sampling: holds the limits.
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).

    Raises:
        ValueError: the limits contradict each other, or one side is over 200 times the other.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"frames are {width}x{height} pixels; one side may be at most {MAX_ASPECT} times "
            "the other: crop or pad the video"
        )
    least, greatest = pixel_limits(frames, sampling, patch_size)
    edge = patch_size * MERGE
    sides = [max(edge, round(side / edge) * edge) for side in (height, width)]
    area = sides[0] * sides[1]
    if area > greatest:
        shrink = math.sqrt(height * width / greatest)
        sides = [max(edge, math.floor(side / shrink / edge) * edge) for side in (height, width)]
    elif area < least:
        grow = math.sqrt(least / (height * width))
        sides = [math.ceil(side * grow / edge) * edge for side in (height, width)]
    return sides[0], sides[1]
