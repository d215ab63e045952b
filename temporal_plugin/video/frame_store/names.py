"""The names of the files in a store's folder. Nothing else in the folder is ever touched.

frame_store.json                  the store's settings
ab/<key>.safetensors              an entry; ab are the first two digits of its key
ab/<key>.lock                     it is being built
ab/<key>.<owner>.<random>.tmp     not finished yet, or left behind by a killed process
"""

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from temporal_plugin.video.frame_store.owner import Owner

SETTINGS = "frame_store.json"
KEY = re.compile(r"[0-9a-f]{64}")
ENTRY = re.compile(r"([0-9a-f]{64})\.safetensors")
LOCK = re.compile(r"([0-9a-f]{64})\.lock")
TEMPORARY = re.compile(r"[0-9a-f]{64}\.([0-9a-f]{12}-\d+-\d+)\.[0-9a-f]{8}\.tmp")
#: a file of an owner that cannot be looked up from here is left behind if it is so old
LEFT_BEHIND_SECONDS = 3600.0
#: an owner writes its name into its lock at once, unless it is killed in between
UNWRITTEN_SECONDS = 3.0


def entry_path(folder: Path, key: str) -> Path:
    """Where the entry lies.

    Raises:
        ValueError: the key is not one of ours, and might name a file outside of the folder.
    """
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a frame store; needed: 64 hexadecimal digits")
    return folder / key[:2] / f"{key}.safetensors"


def lock_path(folder: Path, key: str) -> Path:
    """Where the lock of an entry lies."""
    return entry_path(folder, key).with_suffix(".lock")


def temporary_name(key: str) -> str:
    """A new name for a file of this process."""
    return f"{key}.{Owner.this_process()}.{uuid.uuid4().hex[:8]}.tmp"


def entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """(key, path) of every entry; those that vanish meanwhile may be among them."""
    for file in _files(folder):
        match = ENTRY.fullmatch(file.name)
        if match and match[1][:2] == file.parent.name:
            yield match[1], file


def left_behind(folder: Path) -> Iterator[Path]:
    """Temporary files and locks whose owners have ended (or are unknown, and the file old)."""
    for file in _files(folder):
        match = TEMPORARY.fullmatch(file.name)
        try:
            if match:
                owner = match[1]
            elif LOCK.fullmatch(file.name):
                owner = file.read_text("ascii", "replace")
            else:
                continue
            if is_left_behind(owner, time.time() - file.stat().st_mtime, LEFT_BEHIND_SECONDS):
                yield file
        except FileNotFoundError:
            continue  # finished just now


def is_left_behind(owner: str, seconds: float, unknown_seconds: float) -> bool:
    """Whether nobody will come back to a file.

    Args:
        owner: the text of its Owner; empty or cut off if the process was killed writing it.
        seconds: how long the file has been as it is.
        unknown_seconds: the limit for owners that cannot be looked up from this machine.
    """
    found = Owner.parse(owner)
    if found is None:
        return seconds > UNWRITTEN_SECONDS
    gone = found.gone()
    return seconds > unknown_seconds if gone is None else gone


def _files(folder: Path) -> Iterator[Path]:
    for part in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        yield from sorted(part.iterdir())
