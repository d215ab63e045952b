"""Decoded frames in a folder that many processes and machines share."""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.frame_store import entry, names, upkeep
from temporal_plugin.video.frame_store.key import entry_key
from temporal_plugin.video.frame_store.lock import BuildLock
from temporal_plugin.video.frame_store.settings import Settings, agree
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.sharing import Memory, Shared

logger = logging.getLogger(__name__)

#: frames that could not be stored, or that had to be unpacked, are kept in memory up to here
MEMORY_BYTES = 1 << 30
#: the time of use of an entry is written at most this often
USED_SECONDS = 60.0
#: how long a folder that could not be written is left alone
RETRY_SECONDS = 60.0
#: a process looks whether the store is too large after it has added this part of its limit
LOOK_PART = 64


class FrameStore:
    """A folder of decoded, resized frames with their times: one file per video and sampling.

    Whatever happens to the folder (full, read-only, damaged files, killed builders), `load`
    returns the right frames; at worst it decodes, and says so once in the log.

    Args:
        folder: made if it is missing.
        max_bytes: remove what was used longest ago above this size. Several processes that add
            at once may pass it by a 64th each. None: as the folder's settings say.
        jpeg_quality: pack frames as JPEG (1-100), see `stat` for the error this makes. None: as
            the folder's settings say, for a new store the exact pixels.
        fingerprint: "quick" or "full" (see `entry_key`). None: as the folder's settings say.
        keep_seconds: what was used so recently is not removed for its size. A removed file stays
            with those who have it open, except on a network file system, where another
            machine's removal ends a reader: give 600 or more there.
        memory_bytes: what may be kept in this process's memory where the folder cannot serve.

    Raises:
        StoreError: the folder holds a store with other settings.
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        max_bytes: int | None = None,
        jpeg_quality: int | None = None,
        fingerprint: str | None = None,
        keep_seconds: float = 0.0,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.folder = Path(folder).absolute()
        self._wanted = {
            "max_bytes": max_bytes,
            "jpeg_quality": jpeg_quality,
            "fingerprint": fingerprint,
        }
        self.keep_seconds = keep_seconds
        self._memory: Memory[Frames] = Memory(memory_bytes)
        self._shared: Shared[Frames] = Shared()
        self._trusted: dict[str, tuple[int, int]] = {}  # key -> version of the file checked
        self._unwritable_until = 0.0
        self._warned = False
        self._added_bytes: int | None = None  # None: nobody has looked at the size yet
        try:
            self.settings = agree(self.folder, self._wanted)
        except OSError as error:
            given = {name: value for name, value in self._wanted.items() if value is not None}
            self.settings = Settings(**given)
            self._cannot_write(error)

    def __reduce__(self) -> tuple:
        return _reopen, (str(self.folder), self._wanted, self.keep_seconds, self._memory.max_bytes)

    def key(
        self,
        path: str | Path,
        sampling: Sampling,
        *,
        clip: Span | None = None,
        patch_size: int = 14,
    ) -> str:
        """The name of the entry, 64 hexadecimal digits.

        Raises:
            OSError: the video cannot be read.
        """
        return entry_key(
            path,
            sampling,
            clip=clip,
            patch_size=patch_size,
            jpeg_quality=self.settings.jpeg_quality,
            fingerprint=self.settings.fingerprint,
        )

    def get(
        self,
        path: str | Path,
        sampling: Sampling,
        *,
        clip: Span | None = None,
        patch_size: int = 14,
    ) -> Frames | None:
        """The stored frames, or None; never decodes a video and never waits."""
        return self._stored(self.key(path, sampling, clip=clip, patch_size=patch_size))

    def load(
        self,
        path: str | Path,
        sampling: Sampling,
        *,
        clip: Span | None = None,
        patch_size: int = 14,
    ) -> Frames:
        """The stored frames; where there are none they are decoded and stored first.

        Signature and errors are those of `decode.load_frames`. The pixels are shared: never
        write into them.
        """

        def decode_frames() -> Frames:
            return decode.load_frames(path, sampling, clip=clip, patch_size=patch_size)

        try:
            key = self.key(path, sampling, clip=clip, patch_size=patch_size)
        except OSError:
            return decode_frames()  # says what is wrong with the file
        frames = self._at_hand(key)
        if frames is None:
            frames = self._shared.get(key, lambda: self._build(key, Path(path), decode_frames))
        return frames

    def has(
        self,
        path: str | Path,
        sampling: Sampling,
        *,
        clip: Span | None = None,
        patch_size: int = 14,
    ) -> bool:
        """Whether there is an entry, without opening it."""
        key = self.key(path, sampling, clip=clip, patch_size=patch_size)
        return names.entry_path(self.folder, key).exists()

    def is_writable(self) -> bool:
        """False for a while after an attempt to write has failed."""
        return time.monotonic() > self._unwritable_until

    def stat(self) -> "upkeep.Stat":
        """What the folder holds."""
        return upkeep.stat(self.folder, self.settings)

    def verify(self, on_progress: Callable[[int, int], None] | None = None) -> "upkeep.Verified":
        """Check every byte; damaged entries and what killed processes left behind are removed."""
        return upkeep.verify(self.folder, on_progress)

    def prune(
        self, *, max_bytes: int | None = None, unused_seconds: float | None = None
    ) -> "upkeep.Pruned":
        """Remove what killed processes left behind, and entries that are too many or unused.

        Args:
            max_bytes: keep so many at most; by default the store's own limit.
            unused_seconds: remove entries that were not used for so long.
        """
        limit = self.settings.max_bytes if max_bytes is None else max_bytes
        return upkeep.prune(self.folder, limit, unused_seconds, self.keep_seconds)

    def _at_hand(self, key: str) -> Frames | None:
        frames = self._memory.get(key)
        return self._stored(key) if frames is None else frames

    def _stored(self, key: str) -> Frames | None:
        path = names.entry_path(self.folder, key)
        try:
            status = path.stat()
            version = (status.st_ino, status.st_mtime_ns)
            # all bytes once per process, later only what can be seen without reading them
            check = "description" if self._trusted.get(key) == version else "sums"
            frames = entry.read(path, key, check)
        except FileNotFoundError:
            return None
        except entry.DamagedEntry as error:
            logger.warning("%s; it is decoded again", error)
            self._trusted.pop(key, None)
            with contextlib.suppress(OSError):  # read-only: the frames come from memory then
                path.unlink()
            return None
        except OSError as error:
            logger.warning("%s cannot be read (%s); its video is decoded instead", path, error)
            return None
        self._trusted[key] = version
        if time.time() - status.st_atime > USED_SECONDS:
            with contextlib.suppress(OSError):  # read-only, or just removed by another process
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        if self.settings.jpeg_quality is not None:
            self._memory.put(key, frames, frames.pixels.nbytes)
        return frames

    def _build(self, key: str, video: Path, decode_frames: Callable[[], Frames]) -> Frames:
        """Decode and publish, or wait for the process that does."""
        lock, held = BuildLock(names.lock_path(self.folder, key)), False
        try:
            if self.is_writable():
                held = lock.take_or_wait(names.entry_path(self.folder, key).exists)
        except OSError as error:
            self._cannot_write(error)
        try:
            frames = self._at_hand(key)  # another may have finished it just before
            if frames is None:
                frames = self._publish(key, video, decode_frames())
            return frames
        finally:
            if held:
                lock.release()

    def _publish(self, key: str, video: Path, frames: Frames) -> Frames:
        """The frames as others will read them: mapped, or from memory where that fails."""
        made = entry.make(frames, key, video=video.name, jpeg_quality=self.settings.jpeg_quality)
        del frames
        limit = self.settings.max_bytes
        too_large = limit is not None and made.nbytes > limit
        if not too_large and self.is_writable():
            try:
                self._write(key, made)
                # packed ones would have to be unpacked again: they are in memory already
                stored = self._stored(key) if self.settings.jpeg_quality is None else None
                self._make_room(made.nbytes)
                if stored is not None:
                    return stored
            except OSError as error:
                self._cannot_write(error)
        elif too_large and not self._warned:
            self._warned = True
            logger.warning(
                "the frames of %s (%d bytes) are more than the frame store may hold "
                "(max_bytes %d); such videos are kept in memory only",
                video,
                made.nbytes,
                limit,
            )
        self._memory.put(key, made.frames, made.frames.pixels.nbytes)
        return made.frames

    def _write(self, key: str, made: entry.Entry) -> None:
        path = names.entry_path(self.folder, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(names.temporary_name(key))
        try:
            with temporary.open("xb") as file:
                entry.write(made, file)
            # Not synced to the disk: after a power failure the checksums tell.
            status = temporary.stat()
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._trusted[key] = (status.st_ino, status.st_mtime_ns)

    def _make_room(self, added_bytes: int) -> None:
        limit = self.settings.max_bytes
        if limit is None:
            return
        first = self._added_bytes is None
        self._added_bytes = (self._added_bytes or 0) + added_bytes
        if first or self._added_bytes > limit // LOOK_PART:
            self._added_bytes = 0
            upkeep.prune(self.folder, limit, None, self.keep_seconds)

    def _cannot_write(self, error: OSError) -> None:
        self._unwritable_until = time.monotonic() + RETRY_SECONDS
        if not self._warned:
            self._warned = True
            logger.warning(
                "the frame store %s cannot be written (%s); going on without it: videos are "
                "decoded and kept in memory. Free some space or mend its permissions, it is "
                "tried again every %.0f s",
                self.folder,
                error,
                RETRY_SECONDS,
            )


def _reopen(folder: str, wanted: dict, keep_seconds: float, memory_bytes: int) -> FrameStore:
    return FrameStore(folder, **wanted, keep_seconds=keep_seconds, memory_bytes=memory_bytes)
