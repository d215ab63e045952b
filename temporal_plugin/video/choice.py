"""Which frames of a file are sampled, given the presentation time of each."""

import math

import numpy as np

from temporal_plugin.spans import Span
from temporal_plugin.video.sampling import FRAME_FACTOR, Sampling

#: frame times this close to k / fps count as evenly spaced: containers round to milliseconds
EVEN_SECONDS = 0.002


def frame_count(frames: int, seconds: float, sampling: Sampling) -> int:
    """How many of `frames` frames in `seconds` are sampled: the rule of qwen-vl-utils; even.

    Raises:
        ValueError: there is only one frame, and models need pairs.
    """
    least = math.ceil(sampling.min_frames / FRAME_FACTOR) * FRAME_FACTOR
    most = math.floor(sampling.max_frames / FRAME_FACTOR) * FRAME_FACTOR
    wanted = min(max(seconds * sampling.fps, least), most, frames)
    count = math.floor(wanted / FRAME_FACTOR) * FRAME_FACTOR
    if count < FRAME_FACTOR:
        raise ValueError(f"{frames} frame; at least {FRAME_FACTOR} are needed")
    return count


def choose(
    times: np.ndarray, fps: float, end_seconds: float, sampling: Sampling, clip: Span | None
) -> tuple[np.ndarray, int]:
    """The sampled frames.

    Args:
        times: float64 [N], presentation time of every frame in seconds of the file, rising.
        fps: average frames per second of the file.
        end_seconds: when the last frame ends.
        sampling: how to choose.
        clip: only frames of this part of the file, in its seconds.

    Returns:
        int64 [T], positions in `times`, rising, T even; and how many frames the clip has.

    Raises:
        ValueError: there are fewer than two frames, in the file or in the clip.
    """
    if sampling.times == "exact":
        return _by_time(times, end_seconds, sampling, clip)
    first, last = _qwen_range(times, fps, clip)
    total = last - first + 1
    _need_two(total, clip, times)
    # the quotient of qwen-vl-utils, so that rounding falls on the same side
    count = frame_count(total, total / fps, sampling)
    return _evenly(first, last, count), total


def _evenly(first: int, last: int, count: int) -> np.ndarray:
    """Rounded even steps in float32, half to even: what qwen-vl-utils gets from torch."""
    import torch

    return torch.linspace(first, last, count).round().long().numpy()


def _qwen_range(times: np.ndarray, fps: float, clip: Span | None) -> tuple[int, int]:
    """First and last frame of the clip.

    qwen-vl-utils takes frame k to stand at k / fps and includes a frame that stands exactly on
    the clip's end. Where the file's times agree, so does this; elsewhere the times decide.
    """
    if clip is None:
        return 0, len(times) - 1
    nominal = np.arange(len(times)) / fps
    if np.abs(times - nominal).max() > EVEN_SECONDS:
        return _time_range(times, clip)
    length = len(times) / fps
    first = math.ceil(max(0.0, min(clip.start_seconds, length)) * fps)
    last = math.floor(max(0.0, min(clip.end_seconds, length)) * fps)
    return first, min(last, len(times) - 1)


def _time_range(times: np.ndarray, clip: Span) -> tuple[int, int]:
    first = int(np.searchsorted(times, clip.start_seconds, side="left"))
    return first, int(np.searchsorted(times, clip.end_seconds, side="left")) - 1


def _by_time(
    times: np.ndarray, end_seconds: float, sampling: Sampling, clip: Span | None
) -> tuple[np.ndarray, int]:
    start, end = float(times[0]), end_seconds
    first, last = 0, len(times) - 1
    if clip is not None:
        start, end = max(start, clip.start_seconds), min(end, clip.end_seconds)
        first, last = _time_range(times, clip)
    total = last - first + 1
    _need_two(total, clip, times)
    count = frame_count(total, end - start, sampling)
    # a grid that starts with the clip; coarser than 1 / fps where max_frames forbids more,
    # finer where min_frames asks for it
    as_asked = count == round_even((end - start) * sampling.fps)
    step = 1 / sampling.fps if as_asked else (end - start) / count
    chosen = np.unique(nearest(times[first : last + 1], start + np.arange(count) * step)) + first
    least = min(sampling.min_frames, total)
    if len(chosen) < max(least, FRAME_FACTOR):  # a picture that stands longer than the grid
        return _evenly(first, last, frame_count(total, 0.0, sampling)), total
    return chosen[: len(chosen) // FRAME_FACTOR * FRAME_FACTOR], total


def round_even(value: float) -> int:
    """`value` rounded down to an even number."""
    return math.floor(value / FRAME_FACTOR) * FRAME_FACTOR


def nearest(times: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """int64 [G]: for each point of `grid` the position of the nearest time, the earlier of two."""
    after = np.clip(np.searchsorted(times, grid, side="left"), 1, len(times) - 1)
    before_is_nearer = grid - times[after - 1] <= times[after] - grid
    return after - before_is_nearer


def _need_two(total: int, clip: Span | None, times: np.ndarray) -> None:
    if total >= FRAME_FACTOR:
        return
    if clip is None:
        raise ValueError(f"{total} frame; at least {FRAME_FACTOR} are needed")
    raise ValueError(
        f"the clip {clip.start_seconds:g} to {clip.end_seconds:g} s has {max(total, 0)} frames, "
        f"at least {FRAME_FACTOR} are needed; the file's frames lie at {times[0]:g} to "
        f"{times[-1]:g} s"
    )
