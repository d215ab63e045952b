"""Looking after a store's folder: counting, checking, making room."""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from temporal_plugin.video.frame_store import entry, names
from temporal_plugin.video.frame_store.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stat:
    """What a store holds.

    Attributes:
        folder: where it is.
        entries: how many videos (with their sampling and clip) it holds.
        frames: their frames.
        bytes: size of the entries' files.
        pixel_bytes: size of the same frames as plain pixels.
        max_bytes: limit of `bytes`, or None.
        jpeg_quality: None where the pixels are exact.
        jpeg_mean_error: mean absolute difference of a pixel's colour, in grey levels (0-255).
        jpeg_max_error: the greatest such difference.
        unreadable: entries whose description cannot be read (`verify` removes them).
        left_behind: files of killed processes (`prune` and `verify` remove them).
    """

    folder: str
    entries: int
    frames: int
    bytes: int
    pixel_bytes: int
    max_bytes: int | None
    jpeg_quality: int | None
    jpeg_mean_error: float | None
    jpeg_max_error: int | None
    unreadable: int
    left_behind: int


@dataclass
class Verified:
    """What a check found.

    Attributes:
        entries: entries that were checked.
        bytes: size of their files.
        damaged: what was wrong with those that were removed, one line each.
        left_behind: files of killed processes that were removed.
    """

    entries: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    left_behind: int = 0


@dataclass
class Pruned:
    """What was removed and what is left."""

    removed: int = 0
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    left_behind: int = 0


def stat(folder: Path, settings: Settings) -> Stat:
    """See `Stat`."""
    sizes, frames, plain, unreadable = [], 0, 0, 0
    errors: list[tuple[float, int]] = []
    for key, path in names.entries(folder):
        try:
            size, about = path.stat().st_size, entry.describe(path)
        except FileNotFoundError:
            continue
        except entry.DamagedEntry as error:
            logger.info("entry %s: %s", key, error)
            unreadable += 1
            continue
        count, channels, height, width = about["shape"]
        sizes.append(size)
        frames += count
        plain += count * channels * height * width
        if about["jpeg"] is not None:
            errors.append((about["jpeg"]["mean_error"], about["jpeg"]["max_error"]))
    return Stat(
        folder=str(folder),
        entries=len(sizes),
        frames=frames,
        bytes=sum(sizes),
        pixel_bytes=plain,
        max_bytes=settings.max_bytes,
        jpeg_quality=settings.jpeg_quality,
        jpeg_mean_error=sum(mean for mean, _ in errors) / len(errors) if errors else None,
        jpeg_max_error=max((greatest for _, greatest in errors), default=None),
        unreadable=unreadable,
        left_behind=sum(1 for _ in names.left_behind(folder)),
    )


def verify(folder: Path, on_progress: Callable[[int, int], None] | None) -> Verified:
    """Check all bytes of all entries, remove damaged ones and what was left behind."""
    found = Verified(left_behind=remove_left_behind(folder))
    listed = list(names.entries(folder))
    for done, (key, path) in enumerate(listed, start=1):
        try:
            status = path.stat()
            entry.read(path, key, "crc32")
            with contextlib.suppress(OSError):  # read-only
                # a check is no use of the entry
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        except FileNotFoundError:
            pass  # removed by another process since it was listed
        except entry.DamagedEntry as error:
            found.damaged.append(str(error) + _removal(path, status.st_ino))
        else:
            found.entries += 1
            found.bytes += status.st_size
        if on_progress is not None:
            on_progress(done, len(listed))
    return found


def prune(
    folder: Path, max_bytes: int | None, unused_seconds: float | None, keep_seconds: float
) -> Pruned:
    """Remove what was left behind, what was not used, and above `max_bytes` the oldest in use.

    Entries that were used within the last `keep_seconds` stay, even above the limit.
    """
    done = Pruned(left_behind=remove_left_behind(folder))
    files: list[tuple[float, int, Path]] = []
    for _, path in names.entries(folder):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            files.append((status.st_atime, status.st_size, path))
    files.sort()
    done.kept, done.kept_bytes = len(files), sum(size for _, size, _ in files)
    now = time.time()
    for used, size, path in files:
        unused = unused_seconds is not None and now - used > unused_seconds
        too_much = max_bytes is not None and done.kept_bytes > max_bytes
        if not (unused or too_much) or now - used < keep_seconds:
            continue
        # Whoever has the file open keeps its content until it is closed.
        path.unlink(missing_ok=True)
        done.removed += 1
        done.removed_bytes += size
        done.kept -= 1
        done.kept_bytes -= size
    return done


def _removal(path: Path, inode: int) -> str:
    """Remove a damaged file, unless it was rebuilt meanwhile; what to add to the report."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        pass  # another process removed it
    except OSError as error:
        return f"; it cannot be removed ({error})"
    return ""


def remove_left_behind(folder: Path) -> int:
    """Remove what killed processes left behind; how many files that were."""
    count = 0
    for file in names.left_behind(folder):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
            count += 1
    return count
