"""The embedded frames of one video: which they are, how they are made, and their file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from temporal_plugin.search.embed import DualEncoder
from temporal_plugin.video import decode, tensor_file
from temporal_plugin.video.choice import nearest
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import Plan, plan_frames
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.tensor_file import DamagedEntry

#: raised whenever files of an older version must not be read any more
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The frames of one video as vectors.

    Attributes:
        features: float32 [N, D], rows of length 1, mapped from the file: never write into them.
        pts_seconds: float64 [N], presentation times in seconds of the file, rising.
        indices: int64 [N], the frames' numbers in the file.
    """

    features: np.ndarray
    pts_seconds: np.ndarray
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.pts_seconds)


def embedding_plan(path: str | Path, fps: float) -> Plan:
    """The frames that are embedded: those nearest to an even grid of times, each once.

    Its times are in seconds of the file; its size is not used.

    Raises:
        VideoError: the file is missing or unreadable.
    """
    packets = index_packets(path)
    if len(packets.times) == 1:
        return plan_frames(path, [0], Sampling())
    first = float(packets.times[0])
    grid = first + np.arange(np.ceil((packets.end_seconds - first) * fps)) / fps
    return plan_frames(path, np.unique(nearest(packets.times, grid)), Sampling())


def batches(
    planned: Plan, done: int, encoder: DualEncoder, block_frames: int
) -> Iterator[np.ndarray]:
    """Vectors of a plan's frames from number `done` on; no batch crosses the end of a block.

    So a build that goes on makes the same batches, and the same bits, as one that never stopped.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    if done == len(planned):
        return
    rest = plan_frames(planned.path, planned.indices[done:], Sampling())
    pictures = (
        torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)  # [3, H, W]
        for picture in decode.pictures(rest)
    )
    for _ in range(0, len(rest), block_frames):
        yield from encoder.stream(islice(pictures, block_frames))


def read(path: Path, key: str, check: str) -> Embeddings:
    """Map the file of one video's embeddings.

    Args:
        path: the file.
        key: the key that it must have.
        check: how much of it is compared with its checksums, see `tensor_file.check_bytes`.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedEntry: it is not what was written.
        OSError: it cannot be read.
    """
    tensors, about = tensor_file.read(path)
    if about["key"] != key or about["format"] != FORMAT:
        raise DamagedEntry(f"{path}: its file is that of {about['key']}")
    tensor_file.check_bytes(tensors, about, str(path), check)
    shapes = {name: tensors[name].shape for name in ("features", "pts_seconds", "indices")}
    count = len(tensors["pts_seconds"])
    if shapes["features"][0] != count or shapes["indices"] != (count,):
        raise DamagedEntry(f"{path}: its tensors have the shapes {shapes}")
    return Embeddings(tensors["features"], tensors["pts_seconds"], tensors["indices"])
