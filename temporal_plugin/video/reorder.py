"""The same frames in another order of time, for telling whether an answer depends on it."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import torch

from temporal_plugin.video.frames import Frames

ORDERS = ("reversed", "shuffled")


def reordered(frames: Frames, order: str, seed: str) -> Frames:
    """The frames reversed or shuffled; the clock runs on as before.

    Frame i of the result is another frame, shown at the time of frame i: so an event at
    `[s, e)` of evenly sampled frames lies at `[T - e, T - s)` of the reversed ones. `indices`
    keeps naming each frame's place in the file, and so no longer rises.

    Args:
        frames: at least one; the result shares no memory with it.
        order: "reversed" or "shuffled".
        seed: the sample's id; the same id shuffles the same number of frames in the same way, on
            every machine. Shuffled frames never come out in their own order, if there are two.

    Raises:
        ValueError: another order.
    """
    places = torch.from_numpy(permutation(len(frames), order, seed))
    return dataclasses.replace(
        frames,
        pixels=frames.pixels[places],
        indices=tuple(frames.indices[place] for place in places.tolist()),
    )


def permutation(count: int, order: str, seed: str) -> np.ndarray:
    """int64 [count]: which frame comes at each place.

    Raises:
        ValueError: an order other than "reversed" and "shuffled".
    """
    places = np.arange(count)
    if order == "reversed":
        return places[::-1].copy()
    if order != "shuffled":
        raise ValueError(f"order is {order!r}; allowed are {', '.join(ORDERS)}.")
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))
    shuffled = generator.permutation(places)
    while count > 1 and np.array_equal(shuffled, places):
        shuffled = generator.permutation(places)
    return shuffled
