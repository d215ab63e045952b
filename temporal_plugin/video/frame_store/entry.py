"""The file of one entry: safetensors with pixels, times and a checked description.

Tensors: `pts_seconds` float64 [T], `indices` int64 [T], and either `pixels` uint8 [T, C, H, W]
or `jpeg` uint8 [N] with `jpeg_ends` int64 [T]. The metadata field `entry` is JSON.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video import tensor_file
from temporal_plugin.video.frame_store import jpeg
from temporal_plugin.video.frame_store.key import FORMAT
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.tensor_file import CHECKS, DamagedEntry

__all__ = ["CHECKS", "DamagedEntry", "Entry", "describe", "make", "read", "write"]


@dataclass(frozen=True)
class Entry:
    """What a file holds.

    Attributes:
        tensors: arrays by name, in the order of the file.
        about: the description: key, video, source_fps, total_frames, clip, size, jpeg, checksums.
        frames: the frames as a reader of the file gets them.
    """

    tensors: dict[str, np.ndarray]
    about: dict[str, Any]
    frames: Frames

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return sum(array.nbytes for array in self.tensors.values())


def make(frames: Frames, key: str, *, video: str, jpeg_quality: int | None) -> Entry:
    """The entry of `frames`; with a `jpeg_quality` its own frames have the packed pixels."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "key": key,
        "video": video,
        "source_fps": frames.source_fps,
        "total_frames": frames.total_frames,
        "clip": frames.clip and [frames.clip.start_seconds, frames.clip.end_seconds],
        "shape": list(frames.pixels.shape),
        "jpeg": None,
    }
    tensors = {
        "pts_seconds": np.ascontiguousarray(frames.pts_seconds, np.float64),
        "indices": np.array(frames.indices, np.int64),
    }
    if jpeg_quality is None:
        tensors["pixels"] = np.ascontiguousarray(frames.pixels.numpy())
    else:
        packed = jpeg.pack(frames.pixels, jpeg_quality)
        tensors |= {"jpeg_ends": packed.ends, "jpeg": packed.stream}
        about["jpeg"] = {
            "quality": jpeg_quality,
            "mean_error": packed.mean_error,
            "max_error": packed.max_error,
        }
        frames = replace(frames, pixels=packed.pixels)
    return Entry(tensors, tensor_file.describe(about, tensors), frames)


def write(entry: Entry, file: BinaryIO) -> None:
    """Write the file of an entry."""
    tensor_file.write(entry.tensors, entry.about, file)


def read(path: Path, key: str, check: str = "sums") -> Frames:
    """Map the file; its pixels are read when they are used (with JPEG: decoded here).

    Args:
        path: the file.
        key: the key that it must have.
        check: "description" (times and shapes are consistent), "sums" (and all bytes, fast: finds
            any one changed byte), "crc32" (and all bytes, for sure).

    Raises:
        FileNotFoundError: there is no such file.
        DamagedEntry: it is not what was written.
        OSError: it cannot be read.
    """
    tensors, about = tensor_file.read(path)
    _check(tensors, about, key, check)
    try:
        if about["jpeg"] is None:
            pixels = torch.from_numpy(tensors["pixels"])
        else:
            pixels = jpeg.unpack(tensors["jpeg"], tensors["jpeg_ends"], *about["shape"][2:])
    except (OSError, ValueError) as error:
        raise DamagedEntry(f"{path}: {error}") from error
    return Frames(
        pixels=pixels,
        pts_seconds=tensors["pts_seconds"],
        indices=tuple(tensors["indices"].tolist()),
        source_fps=about["source_fps"],
        total_frames=about["total_frames"],
        clip=about["clip"] and Span(*about["clip"]),
    )


def describe(path: Path) -> dict[str, Any]:
    """The description alone; errors as in `read`."""
    return tensor_file.read(path)[1]


def _check(tensors: dict[str, np.ndarray], about: dict[str, Any], key: str, check: str) -> None:
    if about["key"] != key or about["format"] != FORMAT:
        raise DamagedEntry(f"entry {key}: its file is that of {about['key']}")
    frames, _, height, width = about["shape"]
    shapes = {"pts_seconds": [frames], "indices": [frames]}
    packed = {"jpeg_ends": [frames], "jpeg": list(tensors.get("jpeg", np.empty(0)).shape)}
    shapes |= {"pixels": [frames, 3, height, width]} if about["jpeg"] is None else packed
    dtypes = {"pts_seconds": "float64", "indices": "int64", "jpeg_ends": "int64"}
    found = {name: (list(array.shape), array.dtype.name) for name, array in tensors.items()}
    if found != {name: (shape, dtypes.get(name, "uint8")) for name, shape in shapes.items()}:
        raise DamagedEntry(f"entry {key}: its tensors are {found}, not {shapes}")
    tensor_file.check_bytes(tensors, about, f"entry {key}", check)
