"""What decides an entry of the store: the video's content, the sampling, the clip, the format."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from temporal_plugin.spans import Span
from temporal_plugin.video.sampling import Sampling

#: raised whenever files of an older version must not be read any more
FORMAT = 1
FINGERPRINTS = ("quick", "full")
#: bytes that the quick fingerprint reads at the head, in the middle and at the tail of a file
PROBE_BYTES = 1 << 16


def entry_key(
    path: str | Path,
    sampling: Sampling,
    *,
    clip: Span | None,
    patch_size: int,
    jpeg_quality: int | None,
    fingerprint: str = "quick",
) -> str:
    """64 hexadecimal digits that name an entry; equal only where the pixels and times are.

    Args:
        fingerprint: how the video is recognised. "quick": its size, modification time, and the
            bytes at its head, middle and tail. "full": all its bytes and nothing else, so that
            copies with other modification times (on other machines) are the same video.

    Raises:
        OSError: the video cannot be read.
    """
    parts = {
        "format": FORMAT,
        "video": content_of(path, fingerprint),
        "sampling": sampling.key(),
        "clip": None if clip is None else [clip.start_seconds, clip.end_seconds],
        "patch_size": patch_size,
        "jpeg_quality": jpeg_quality,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def content_of(path: str | Path, fingerprint: str = "quick") -> str:
    """The fingerprint of a video file; remembered while size, time and inode stay the same.

    Raises:
        OSError: the file cannot be read.
        ValueError: no such way to take a fingerprint.
    """
    if fingerprint not in FINGERPRINTS:
        raise ValueError(f"fingerprint is {fingerprint!r}; allowed: {', '.join(FINGERPRINTS)}")
    status = Path(path).stat()
    take = _quick if fingerprint == "quick" else _full
    return take(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=65536)
def _quick(path: str, size: int, modified_ns: int, _inode: int) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for start in (0, (size - PROBE_BYTES) // 2, size - PROBE_BYTES):
            file.seek(max(0, start))
            digest.update(file.read(PROBE_BYTES))
    return f"quick:{size}:{modified_ns}:{digest.hexdigest()}"


@lru_cache(maxsize=65536)
def _full(path: str, size: int, _modified_ns: int, _inode: int) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"full:{size}:{digest.hexdigest()}"
