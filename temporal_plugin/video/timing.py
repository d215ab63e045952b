"""What a model is told about time, derived from the frames' presentation times. Nothing else is.

Qwen2.5-VL hears one number per video, the seconds between two steps of its temporal grid;
Qwen3-VL reads a timestamp before every step; a server that takes bare images gets them as text.
Processors of transformers, vLLM and verl compute the first two from a "frame rate" and "frame
numbers". They are given a fixed clock and the frames' times on it (`clock_metadata`), so that
their own formulas return the real times, whatever the file's frame rate does.
"""

from collections.abc import Sequence

import numpy as np

FRAMES_PER_STEP = 2  # Qwen-VL models merge frames in pairs (`temporal_patch_size`)
#: ticks per second of the clock; the rate MPEG uses, in which common frame times are whole numbers
CLOCK_HZ = 90_000


def seconds_per_step(pts_seconds: np.ndarray) -> float:
    """Mean seconds between two temporal grid steps of a sampled video, > 0.

    Args:
        pts_seconds: float64 [T], presentation times, rising.

    Returns:
        FRAMES_PER_STEP times the mean spacing of the frames; of a single time (a still that was
        doubled) one second.
    """
    span = float(pts_seconds[-1] - pts_seconds[0])
    return FRAMES_PER_STEP * span / (len(pts_seconds) - 1) if span > 0 else 1.0


def step_seconds(pts_seconds: np.ndarray) -> np.ndarray:
    """float64 [ceil(T / 2)]: the time of each grid step, the mean of its first and last frame.

    An odd last frame counts twice. This is what Qwen3-VL writes before each step, rounded to a
    tenth (Qwen3-VL technical report; `_calculate_timestamps` in transformers).
    """
    times = pts_seconds
    if len(times) % FRAMES_PER_STEP:
        times = np.append(times, times[-1])
    pairs = times.reshape(-1, FRAMES_PER_STEP)  # [T / 2, 2]
    return (pairs[:, 0] + pairs[:, -1]) / 2


def text_timestamps(pts_seconds: Sequence[float]) -> list[str]:
    """`<12.3 seconds>` for every frame, to be written before each bare image."""
    return [f"<{seconds:.1f} seconds>" for seconds in pts_seconds]


def clock_metadata(pts_seconds: np.ndarray) -> dict:
    """The description that transformers, vLLM and verl take beside the pixels.

    Returns:
        `fps` (the clock), `frames_indices` (times on it), `total_num_frames` (such that
        frames / total * fps is the real sampling rate), `video_backend`.
    """
    ticks = np.rint(np.asarray(pts_seconds) * CLOCK_HZ).astype(np.int64)
    # the hosts take FRAMES_PER_STEP / (T / total * fps) as the seconds per step
    seconds = len(ticks) / FRAMES_PER_STEP * seconds_per_step(np.asarray(pts_seconds))
    return {
        "fps": float(CLOCK_HZ),
        "frames_indices": ticks.tolist(),
        "total_num_frames": round(seconds * CLOCK_HZ),
        "video_backend": "temporal_plugin",
    }
