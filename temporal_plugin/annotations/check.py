"""All missing and unreadable videos at once, before any model loads."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_plugin.annotations.probe import probe, require_av
from temporal_plugin.annotations.sample import Sample

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)

BAR_AFTER_SECONDS = 2.0
MAX_WORKERS = 16


@dataclass(frozen=True)
class VideoProblem:
    """A video file that cannot be used, and how many samples need it."""

    path: str
    reason: str
    samples: int
    remedy: str


def check_videos(
    samples: Iterable[Sample],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    console: Console | None = None,
    workers: int | None = None,
) -> list[VideoProblem]:
    """The problems of all videos that `samples` name, in the order of first mention.

    Each distinct file is opened once and its first frame decoded, in threads.

    Args:
        on_progress: called from this thread after each file with (files done, files in all).
        console: where to draw a progress bar once the check has taken over two seconds;
            by default standard error. Drawn on a terminal only.
        workers: threads; by default twice the processors, at most 16.

    Raises:
        ImportError: PyAV is not installed (names the pip command).
    """
    require_av()
    uses = Counter(sample.video for sample in samples)
    faults: dict[str, tuple[str, str]] = {}
    workers = workers or min(MAX_WORKERS, 2 * (os.cpu_count() or 1))
    bar = _LateBar(len(uses), console)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="check-videos")
    try:
        path_of = {pool.submit(probe, path): path for path in uses}
        for done, future in enumerate(as_completed(path_of), start=1):
            fault = future.result()
            if fault is not None:
                faults[path_of[future]] = fault
            bar.update(done)
            if on_progress is not None:
                on_progress(done, len(uses))
    finally:
        # Reached by Ctrl-C too: the files that wait are not worth waiting for.
        pool.shutdown(wait=False, cancel_futures=True)
        bar.stop()
    logger.info("%d video files checked, %d with problems", len(uses), len(faults))
    return [
        VideoProblem(path, faults[path][0], count, faults[path][1])
        for path, count in uses.items()
        if path in faults
    ]


class _LateBar:
    """A progress bar that shows itself only when the work is not over in two seconds."""

    def __init__(self, total: int, console: Console | None) -> None:
        self._total = total
        self._console = console
        self._start_at = time.monotonic() + BAR_AFTER_SECONDS
        self._progress = None

    def update(self, done: int) -> None:
        if self._progress is None:
            if time.monotonic() < self._start_at:
                return
            from rich.console import Console
            from rich.progress import Progress

            console = self._console or Console(stderr=True)
            self._progress = Progress(
                console=console, transient=True, disable=not console.is_terminal
            )
            self._task = self._progress.add_task("checking videos", total=self._total)
            self._progress.start()
        self._progress.update(self._task, completed=done)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
