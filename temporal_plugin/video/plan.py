"""What would be decoded from a video: which frames, when they show, at what size. No pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from temporal_plugin.spans import Span
from temporal_plugin.video.choice import choose
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.packets import PacketIndex, index_packets
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.sizes import FRAMES_PER_GRID, MAX_ASPECT, MERGE, frame_size
from temporal_plugin.video.timing import clock_metadata


@dataclass(frozen=True, eq=False)
class Plan:
    """Frames that `load_frames` would return, without their pixels.

    Attributes:
        path: the video file.
        indices: the frames' numbers in the file [T], in order of display; T even where they were
            sampled.
        pts_seconds: float64 [T], presentation times relative to the clip's start, rising.
        height: of the resized frames, in pixels.
        width: likewise.
        source_fps: the file's average frames per second.
        total_frames: frames that the file has within the clip.
        clip: the part of the file that is sampled, or None for all of it.
        patch_size: edge of the vision tower's patch in pixels, which the size fits.
        packets: what the container says about all frames.
    """

    path: Path
    indices: tuple[int, ...]
    pts_seconds: np.ndarray
    height: int
    width: int
    source_fps: float
    total_frames: int
    clip: Span | None
    patch_size: int
    packets: PacketIndex = field(repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    def grid(self, patch_size: int | None = None) -> tuple[int, int, int]:
        """(time, height, width) of the video in patches, as a processor's `video_grid_thw`."""
        patch = patch_size or self.patch_size
        return len(self) // FRAMES_PER_GRID, self.height // patch, self.width // patch

    def tokens(self, merge: int = MERGE, patch_size: int | None = None) -> int:
        """Video tokens that a Qwen-VL model makes of the frames (timestamps not counted)."""
        steps, rows, columns = self.grid(patch_size)
        return steps * (rows // merge) * (columns // merge)

    def metadata(self) -> dict:
        """As `Frames.metadata`: what a processor takes to tell the model the time."""
        return clock_metadata(self.pts_seconds)


def plan(
    path: str | Path, sampling: Sampling, clip: Span | None = None, patch_size: int = 14
) -> Plan:
    """Choose frames and their size from the container's packets alone.

    Args:
        path: the video file.
        sampling: which frames, at what size.
        clip: sample only this part of the file, in seconds of the file.
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).

    Raises:
        VideoError: the file is missing, unreadable, has no such clip or too few frames.
        ValueError: the pixel limits of `sampling` contradict each other.
    """
    path = Path(path)
    packets = index_packets(path)
    try:
        chosen, total = choose(packets.times, packets.fps, packets.end_seconds, sampling, clip)
    except ValueError as error:
        raise VideoError(f"{path}: {error}") from error
    return _planned(path, packets, chosen, total, sampling, clip, patch_size)


def plan_frames(
    path: str | Path,
    indices: Sequence[int],
    sampling: Sampling,
    clip: Span | None = None,
    patch_size: int = 14,
) -> Plan:
    """A plan of the very frames that are named; `sampling` gives their size and nothing else.

    Args:
        path: the video file.
        indices: the frames' numbers in the file, rising; any count.
        sampling: holds the limits of the size.
        clip: what the frames' times are relative to, in seconds of the file.
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).

    Raises:
        VideoError: the file is missing, unreadable or has no such frames.
        ValueError: the pixel limits of `sampling` contradict each other.
    """
    path = Path(path)
    packets = index_packets(path)
    chosen = np.asarray(indices, dtype=np.int64)
    total = len(packets.times)
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= total or (np.diff(chosen) <= 0).any():
        raise VideoError(
            f"{path}: frames {chosen.tolist()} were asked for; needed: rising numbers from 0 to "
            f"{total - 1}. If the file has changed, what was made of it has to be made again"
        )
    return _planned(path, packets, chosen, total, sampling, clip, patch_size)


def _planned(
    path: Path,
    packets: PacketIndex,
    chosen: np.ndarray,
    total: int,
    sampling: Sampling,
    clip: Span | None,
    patch_size: int,
) -> Plan:
    sides = packets.height, packets.width
    if max(sides) > MAX_ASPECT * min(sides):
        raise VideoError(
            f"{path}: frames are {packets.width}x{packets.height} pixels; one side may be at most "
            f"{MAX_ASPECT} times the other: crop or pad the video"
        )
    height, width = frame_size(*sides, len(chosen), sampling, patch_size)
    start = 0.0 if clip is None else clip.start_seconds
    return Plan(
        path=path,
        indices=tuple(chosen.tolist()),
        pts_seconds=packets.times[chosen] - start,
        height=height,
        width=width,
        source_fps=packets.fps,
        total_frames=total,
        clip=clip,
        patch_size=patch_size,
        packets=packets,
    )
