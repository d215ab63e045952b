"""One builder of an entry among all processes and machines that share the folder."""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from temporal_plugin.video.frame_store.names import is_left_behind, temporary_name
from temporal_plugin.video.frame_store.owner import Owner

logger = logging.getLogger(__name__)

#: whoever waits longer for another process to decode a video does it itself
PATIENCE_SECONDS = 300.0
#: a lock whose owner cannot be looked up (another machine) and that was seen unchanged for so
#: long is taken over; a slower builder only costs a second decode
UNKNOWN_SECONDS = 120.0
#: the same by the lock's own date, for those who did not watch it
OLD_SECONDS = 900.0


class BuildLock:
    """A lock file: created exclusively, holding its owner's name, taken over when that is gone.

    It saves work and is not needed for safety: entries are published by a rename, so two
    builders at once do no harm. Whoever waits longer than it likes may simply build.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = ""
        self._seen: tuple[int, int] | None = None
        self._seen_at = 0.0

    def take(self) -> bool:
        """Whether this process is the builder now.

        Raises:
            OSError: the folder cannot be written.
        """
        owner = str(Owner.this_process())
        try:
            file = self.path.open("x", encoding="ascii")
        except FileExistsError:
            return False
        self._owner = owner
        try:
            with file:
                file.write(owner)
        except OSError:  # the disk is full
            self.path.unlink()
            raise
        return True

    def take_or_wait(
        self, is_built: Callable[[], bool], patience_seconds: float | None = None
    ) -> bool:
        """Whether this process is the builder now; False once the entry is built, or waited for
        too long.

        Raises:
            OSError: the folder cannot be written.
        """
        patience = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        start, pause = time.monotonic(), 0.002
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while not self.take():
            if self.take_over():
                continue
            if is_built():
                return False
            if time.monotonic() - start > patience:
                logger.warning("waited %.0f s for %s, not longer", patience, self.path)
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        return True

    def keep(self) -> None:
        """Show others that a long build goes on: call it more often than UNKNOWN_SECONDS."""
        with contextlib.suppress(OSError):  # taken over meanwhile, or the folder is read-only
            os.utime(self.path)

    def release(self) -> None:
        """Give the lock back, unless it was taken over meanwhile."""
        with contextlib.suppress(OSError):  # gone, or unreadable: then it is not ours to remove
            if self.path.read_text("ascii", "replace") == self._owner:
                self.path.unlink()

    def take_over(self) -> bool:
        """Whether a lock that nobody will give back was removed; ask again while waiting."""
        version = self._stale_version()
        if version is None:
            return False
        aside = self.path.with_name(temporary_name(self.path.stem))
        try:
            self.path.rename(aside)
        except FileNotFoundError:  # another process was faster
            return True
        if _version(aside.stat()) != version:  # and that one's new lock is what was moved
            with contextlib.suppress(FileExistsError):
                os.link(aside, self.path)
        aside.unlink()
        return True

    def _stale_version(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
            owner = self.path.read_text("ascii", "replace")
        except FileNotFoundError:
            return None  # it was just given back
        version = _version(status)
        # Another machine's clock may be wrong, so the date alone does not tell how long: it also
        # counts how long this process has seen the lock.
        if version != self._seen:
            self._seen, self._seen_at = version, time.monotonic()
        watched = time.monotonic() - self._seen_at
        old = time.time() - status.st_mtime
        stale = is_left_behind(owner, watched, UNKNOWN_SECONDS)
        stale = stale or is_left_behind(owner, old, OLD_SECONDS)
        return version if stale else None


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_mtime_ns
