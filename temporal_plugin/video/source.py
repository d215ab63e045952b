"""Where every host gets its frames from: one decode per video, however many ask for it."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.frame_store import FrameStore
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.sharing import Memory, Shared

#: folder of the frame store where a host's own setting names none
STORE_VARIABLE = "TEMPORAL_PLUGIN_FRAME_STORE"
#: decoded frames that one process keeps where there is no store: about 70 half-minute clips
MEMORY_BYTES = 1 << 30


def open_source(folder: str | Path | None = None) -> Callable[..., Frames]:
    """A function with the signature and the errors of `decode.load_frames` that shares its work.

    Threads that ask for the same video at once wait for one decode. All callers in a process
    that name the same folder get the same source, so ask where it is needed instead of passing
    it on. The pixels that it returns are shared: never write into them.

    Args:
        folder: the frame store; None takes the environment's TEMPORAL_PLUGIN_FRAME_STORE; where
            that is unset too, or for "", frames are kept in the memory of this process.

    Returns:
        `load(path, sampling, *, clip=None, patch_size=14) -> Frames`.

    Raises:
        StoreError: the folder holds something that this version cannot use.
    """
    folder = _folder(folder)
    return _open(str(Path(folder).absolute()) if folder else "")


def has_store(folder: str | Path | None = None) -> bool:
    """Whether `open_source(folder)` reads from a frame store, and not from memory."""
    return bool(_folder(folder))


def _folder(folder: str | Path | None) -> str:
    return os.environ.get(STORE_VARIABLE, "") if folder is None else str(folder)


@cache
def _open(folder: str) -> Callable[..., Frames]:
    return FrameStore(folder).load if folder else MemorySource().load


class MemorySource:
    """`decode.load_frames` with a memory.

    Args:
        max_bytes: pixels to keep; what was used longest ago goes first.
    """

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self._memory: Memory[Frames] = Memory(max_bytes)
        self._shared: Shared[Frames] = Shared()

    def __reduce__(self) -> tuple:
        return MemorySource, (self._memory.max_bytes,)  # locks and pixels stay in their process

    def load(
        self,
        path: str | Path,
        sampling: Sampling,
        *,
        clip: Span | None = None,
        patch_size: int = 14,
    ) -> Frames:
        """As `decode.load_frames`, from memory where it was loaded before and has not changed."""
        key = (str(path), _version(path), sampling, clip, patch_size)

        def decode_once() -> Frames:
            frames = self._memory.get(key)  # another thread may just have finished it
            if frames is None:
                frames = decode.load_frames(path, sampling, clip=clip, patch_size=patch_size)
                self._memory.put(key, frames, frames.pixels.nbytes)
            return frames

        frames = self._memory.get(key)
        return self._shared.get(key, decode_once) if frames is None else frames


def _version(path: str | Path) -> tuple[int, int] | None:
    """What changes with the file's content, or None where there is no file."""
    try:
        status = Path(path).stat()
    except OSError:
        return None  # `load_frames` says which file and why
    return status.st_size, status.st_mtime_ns
