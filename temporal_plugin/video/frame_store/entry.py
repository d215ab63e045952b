"""The file of one entry: safetensors with pixels, times and a checked description.

Tensors: `pts_seconds` float64 [T], `indices` int64 [T], and either `pixels` uint8 [T, C, H, W]
or `jpeg` uint8 [N] with `jpeg_ends` int64 [T]. The metadata field `entry` is JSON.
"""

import json
import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.frame_store import jpeg
from temporal_plugin.video.frame_store.key import FORMAT
from temporal_plugin.video.frames import Frames

CHECKS = ("description", "sums", "crc32")
DTYPES = {"uint8": "U8", "int64": "I64", "float64": "F64"}
#: 64-bit words that are added up to one sum
WORDS = 8192
#: pixels start at a multiple of this many bytes, as vector instructions like them
ALIGNMENT = 64


class DamagedEntry(ValueError):
    """An entry's file is not what was written; the message says what differs."""


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
    about |= {"sums": _sums(tensors), "crc32": _crc32(tensors)}
    about["check"] = _description_check(about)
    return Entry(tensors, about, frames)


def write(entry: Entry, file: BinaryIO) -> None:
    """Write the file of an entry.

    The header is written here and not by the safetensors package, which would first copy all
    pixels into one string, and reports a full disk as its own error without the error number.
    """
    header: dict[str, Any] = {"__metadata__": {"entry": json.dumps(entry.about)}}
    offset = 0
    for name, array in entry.tensors.items():
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    last = list(entry.tensors.values())[-1]
    text += b" " * (-(8 + len(text) + offset - last.nbytes) % ALIGNMENT)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for array in entry.tensors.values():
        file.write(array.reshape(-1).view(np.uint8))


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
    tensors, about = _open(path)
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
    _, about = _open(path)
    if about.get("check") != _description_check(about):
        raise DamagedEntry(f"{path}: its description was changed")
    return about


def _open(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Map the tensors of a file that is opened once.

    The safetensors package opens it twice (for the header, then to map it for torch); between
    the two another process may have removed or replaced the file.
    """
    try:
        with path.open("rb") as file:
            # A private map: writing into the tensors would not change the file. It lives as long
            # as they do, whatever happens to the name.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        about = json.loads(header.pop("__metadata__")["entry"])
        tensors = {name: _tensor(data, start, place) for name, place in header.items()}
        end = start + max(place["data_offsets"][1] for place in header.values())
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise DamagedEntry(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(about, dict) or end != len(data):
        raise DamagedEntry(f"{path}: {len(data)} bytes where its header describes {end}")
    return tensors, about


def _tensor(data: mmap.mmap, start: int, place: dict[str, Any]) -> np.ndarray:
    first, end = place["data_offsets"]
    dtype = np.dtype({code: name for name, code in DTYPES.items()}[place["dtype"]])
    count, rest = divmod(end - first, dtype.itemsize)
    if rest or first < 0 or count < 0:
        raise ValueError(f"{place} is no place of a tensor")
    if count == 0:  # numpy would take it for "all the rest"
        return np.empty(0, dtype).reshape(place["shape"])
    return np.frombuffer(data, dtype, count, start + first).reshape(place["shape"])


def _check(tensors: dict[str, np.ndarray], about: dict[str, Any], key: str, check: str) -> None:
    if about.get("check") != _description_check(about):
        raise DamagedEntry(f"entry {key}: its description was changed")
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
    if check != "description" and _sums(tensors) != about["sums"]:
        raise DamagedEntry(f"entry {key}: its bytes add up to another sum")
    if check == "crc32" and _crc32(tensors) != about["crc32"]:
        raise DamagedEntry(f"entry {key}: its bytes have another checksum")


def _description_check(about: dict[str, Any]) -> int:
    rest = {name: value for name, value in about.items() if name != "check"}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())


def _in_order(tensors: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    for name in sorted(tensors):
        yield tensors[name].reshape(-1).view(np.uint8)


def _crc32(tensors: dict[str, np.ndarray]) -> int:
    value = 0
    for data in _in_order(tensors):
        value = zlib.crc32(data, value)
    return value


def _sums(tensors: dict[str, np.ndarray]) -> int:
    """A checksum at the speed of memory: sums of blocks, and the CRC-32 of these sums."""
    value = 0
    for data in _in_order(tensors):
        whole = len(data) // (8 * WORDS) * 8 * WORDS
        blocks = data[:whole].view(np.uint64).reshape(-1, WORDS).sum(axis=1)  # wraps around
        value = zlib.crc32(blocks.tobytes(), value)
        value = zlib.crc32(data[whole:], value)
    return value
