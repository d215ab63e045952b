"""Reads the sampled frames of a video file, resized, one frame in memory at a time."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.decode import read_decord, read_pyav, read_torchcodec
from temporal_plugin.video.decode.resize import RESIZERS
from temporal_plugin.video.errors import VideoError, unreadable
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.packets import PacketIndex
from temporal_plugin.video.plan import Plan, plan
from temporal_plugin.video.sampling import Sampling

__all__ = ["READERS", "VideoError", "load_frames", "load_plan", "pictures"]

logger = logging.getLogger(__name__)

#: name in `Sampling.decoder` -> upright RGB frames, uint8 [H, W, 3], of a plan, in its order
READERS: dict[str, Callable[[Plan], Iterator[np.ndarray]]] = {
    "pyav": read_pyav.frames,
    "decord": read_decord.frames,
    "torchcodec": read_torchcodec.frames,
}
#: containers in which decord and torchcodec find a frame by its number; from MPEG streams both
#: return other frames (seen with decord 0.6 and torchcodec 0.13)
SEEKABLE = {"mov", "mp4", "matroska", "webm", "avi", "flv", "gif"}
UNKNOWN_CODECS = {"decord": ("gif", "libdav1d", "av1")}  # its FFmpeg is of 2018
AUTO = "pyav"  # the only one that skips frames which nothing refers to, and that never aborts


def load_frames(
    path: str | Path, sampling: Sampling, *, clip: Span | None = None, patch_size: int = 14
) -> Frames:
    """Decode the frames that `plan.plan` chooses, at the size that it gives them.

    With the default sampling they are, byte for byte, those of qwen-vl-utils with decord.

    Args:
        path: the video file.
        sampling: which frames, at what size.
        clip: sample only this part of the file, in seconds of the file.
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).

    Returns:
        Frames with uint8 [T, C, H, W] pixels, T even.

    Raises:
        VideoError: the file is missing, unreadable, has no such clip or too few frames.
        ValueError: the pixel limits of `sampling` contradict each other.
    """
    return load_plan(plan(path, sampling, clip, patch_size), sampling)


def load_plan(planned: Plan, sampling: Sampling) -> Frames:
    """Decode the frames of a plan that was made with `sampling`.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    return Frames(
        pixels=_pixels(planned, sampling),
        pts_seconds=planned.pts_seconds,
        indices=planned.indices,
        source_fps=planned.source_fps,
        total_frames=planned.total_frames,
        clip=planned.clip,
    )


def _pixels(planned: Plan, sampling: Sampling) -> torch.Tensor:
    resize = RESIZERS[sampling.resize]
    pixels = torch.empty((len(planned), 3, planned.height, planned.width), dtype=torch.uint8)
    count = 0
    for picture in pictures(planned, sampling.decoder):
        resize(picture, pixels[count])
        count += 1
    if count != len(planned):
        raise unreadable(planned.path, f"{count} of {len(planned)} frames could be decoded")
    return pixels


def pictures(planned: Plan, decoder: str = "auto") -> Iterator[np.ndarray]:
    """The frames of a plan at their size in the file, upright RGB, uint8 [H, W, 3], one by one.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    name = AUTO if decoder == "auto" else decoder
    if name != AUTO and not _can_read(name, planned.packets):
        logger.info("%s: read with %s, since %s errs on such files", planned.path, AUTO, name)
        name = AUTO
    return READERS[name](planned)


def _can_read(name: str, packets: PacketIndex) -> bool:
    """Whether decord or torchcodec is known to find the right frames of such a file."""
    if packets.by_count or packets.mirrored:  # neither mirrors pictures
        return False
    if name == "decord" and packets.open_groups:  # it returns other frames than the wanted
        return False
    known = packets.codec not in UNKNOWN_CODECS.get(name, ())
    return known and bool(SEEKABLE & set(packets.container.split(",")))
