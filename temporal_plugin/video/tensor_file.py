"""A safetensors file of named arrays with a checked description, mapped into memory.

The description is JSON, kept in the metadata field `entry`. It gets `sums` and `crc32` of all
bytes of the arrays, and `check`, a checksum of itself.
"""

import json
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

CHECKS = ("description", "sums", "crc32")
DTYPES = {"uint8": "U8", "int64": "I64", "float32": "F32", "float64": "F64"}
#: 64-bit words that are added up to one sum
WORDS = 8192
#: the last array starts at a multiple of this many bytes, as vector instructions like it
ALIGNMENT = 64


class DamagedEntry(ValueError):
    """A file is not what was written; the message says what differs."""


def describe(about: dict[str, Any], tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """`about` with the checksums of the arrays and its own."""
    about = {**about, "sums": _sums(tensors), "crc32": _crc32(tensors)}
    return {**about, "check": _description_check(about)}


def write(tensors: dict[str, np.ndarray], about: dict[str, Any], file: BinaryIO) -> None:
    """Write arrays and a description that `describe` made.

    The header is written here and not by the safetensors package, which would first copy all
    arrays into one string, and reports a full disk as its own error without the error number.
    """
    header: dict[str, Any] = {"__metadata__": {"entry": json.dumps(about)}}
    offset = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    last = list(tensors.values())[-1]
    text += b" " * (-(8 + len(text) + offset - last.nbytes) % ALIGNMENT)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for array in tensors.values():
        file.write(array.reshape(-1).view(np.uint8))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Map the arrays of a file, which is opened once; only the description is read.

    The safetensors package opens it twice (for the header, then to map it for torch); between
    the two another process may have removed or replaced the file.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedEntry: its header or its description is not what was written.
        OSError: it cannot be read.
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
    if about.get("check") != _description_check(about):
        raise DamagedEntry(f"{path}: its description was changed")
    return tensors, about


def check_bytes(
    tensors: dict[str, np.ndarray], about: dict[str, Any], name: str, check: str
) -> None:
    """Compare the arrays with the description's checksums.

    Args:
        tensors: as `read` gave them.
        about: likewise.
        name: what to call the file in an error.
        check: "description" (nothing more than `read` did), "sums" (all bytes, fast: finds any
            one changed byte), "crc32" (all bytes, for sure).

    Raises:
        DamagedEntry: they differ.
    """
    if check != "description" and _sums(tensors) != about["sums"]:
        raise DamagedEntry(f"{name}: its bytes add up to another sum")
    if check == "crc32" and _crc32(tensors) != about["crc32"]:
        raise DamagedEntry(f"{name}: its bytes have another checksum")


def _tensor(data: mmap.mmap, start: int, place: dict[str, Any]) -> np.ndarray:
    first, end = place["data_offsets"]
    dtype = np.dtype({code: name for name, code in DTYPES.items()}[place["dtype"]])
    count, rest = divmod(end - first, dtype.itemsize)
    if rest or first < 0 or count < 0:
        raise ValueError(f"{place} is no place of a tensor")
    if count == 0:  # numpy would take it for "all the rest"
        return np.empty(0, dtype).reshape(place["shape"])
    return np.frombuffer(data, dtype, count, start + first).reshape(place["shape"])


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
