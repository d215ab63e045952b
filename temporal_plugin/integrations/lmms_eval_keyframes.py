"""The frames of a video that show an answer: true and predicted times, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import Answer
from temporal_plugin.video.choice import nearest
from temporal_plugin.video.decode import read_pyav
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import plan
from temporal_plugin.video.sampling import Sampling

SECONDS = "keyframe_seconds"
"""Field of `Sample.extra`: the times of the true frames, in seconds of the video."""

NUMBERS = "position"
"""Field of `Sample.extra` (LongVideoBench): their numbers in the file, from 0."""

MOST = 8
"""Moments of an answer that count, as many as the prompt allows: more would buy recall."""

HEIGHT = 256
"""Pictures are compared at this height at most: that of the copies Haystack-Ego4D is scored on."""


def are_known(sample: Sample) -> bool:
    """Whether the sample says which frames show its answer."""
    return bool(sample.extra.get(SECONDS) or sample.extra.get(NUMBERS))


def true_seconds(sample: Sample) -> list[float]:
    """The times of the true frames; those given by number get the time at which they are shown.

    Raises:
        VideoError: the frames are given by number and the video cannot be read.
    """
    if sample.extra.get(SECONDS):
        return [float(value) for value in sample.extra[SECONDS]]
    times = index_packets(sample.video).times
    last = len(times) - 1
    return [float(times[min(int(number), last)]) for number in sample.extra[NUMBERS]]


def predicted(answer: Answer) -> list[float]:
    """The middles of the answer's first `MOST` moments, in its order, in seconds."""
    moments = answer.spans[:MOST]
    return [(moment.start_seconds + moment.end_seconds) / 2 for moment in moments]


def pictures(path: str, seconds: Sequence[float]) -> np.ndarray:
    """The frames shown nearest to `seconds`, in their order.

    Returns:
        uint8 [N, H, W, 3], RGB, H at most `HEIGHT`; a time past the end gives the last frame.

    Raises:
        VideoError: the video cannot be read.
    """
    if not len(seconds):
        return np.zeros((0, 1, 1, 3), dtype=np.uint8)
    times = index_packets(path).times
    numbers = nearest(times, np.asarray(seconds, dtype=np.float64)).tolist()
    wanted = sorted(set(numbers))
    found = dict(zip(wanted, _decoded(path, tuple(wanted)), strict=True))
    return np.stack([found[number] for number in numbers])


@lru_cache(maxsize=64)  # several questions, and repeats of one, share their true frames
def _decoded(path: str, numbers: tuple[int, ...]) -> list[np.ndarray]:
    """The frames with these numbers, rising, each uint8 [H, W, 3]."""
    some = plan(path, Sampling(min_frames=2, max_frames=2))
    chosen = replace(some, indices=numbers, pts_seconds=some.packets.times[list(numbers)])
    return [_small(picture) for picture in read_pyav.frames(chosen)]


def _small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if height <= HEIGHT:
        return picture
    size = HEIGHT, max(1, round(width * HEIGHT / height))
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
