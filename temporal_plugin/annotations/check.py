"""All missing and unreadable videos at once, before a model loads; the lengths of the rest."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_plugin.annotations.clip_policy import file_seconds
from temporal_plugin.annotations.probe import Fault, probe, require_av
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


@dataclass(frozen=True)
class Surveyed:
    """What there is at one path: a fault (reason, remedy), or a video and its real length.

    `seconds` is None where it was not asked for or the file does not tell.
    """

    fault: Fault | None = None
    seconds: float | None = None


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
    uses = Counter(sample.video for sample in samples)
    surveyed = survey(uses, on_progress=on_progress, console=console, workers=workers)
    return problems_of(uses, surveyed)


def problems_of(uses: Mapping[str, int], surveyed: Mapping[str, Surveyed]) -> list[VideoProblem]:
    """The faults of a survey; `uses` says how many samples need each path."""
    return [
        VideoProblem(path, surveyed[path].fault[0], count, surveyed[path].fault[1])
        for path, count in uses.items()
        if surveyed[path].fault is not None
    ]


def survey(
    paths: Iterable[str],
    *,
    lengths: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    console: Console | None = None,
    workers: int | None = None,
) -> dict[str, Surveyed]:
    """What there is at each of the distinct `paths`; arguments as for `check_videos`.

    With `lengths`, the real length of every sound video is read from its header too.

    Raises:
        ImportError: PyAV is not installed (names the pip command).
    """
    require_av()
    paths = list(paths)
    found: dict[str, Surveyed] = {}
    workers = workers or min(MAX_WORKERS, 2 * (os.cpu_count() or 1))
    bar = _LateBar(len(paths), console)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="check-videos")
    try:
        path_of = {pool.submit(_look_at, path, lengths): path for path in paths}
        for done, future in enumerate(as_completed(path_of), start=1):
            found[path_of[future]] = future.result()
            bar.update(done)
            if on_progress is not None:
                on_progress(done, len(paths))
    finally:
        # Reached by Ctrl-C too: the files that wait are not worth waiting for.
        pool.shutdown(wait=False, cancel_futures=True)
        bar.stop()
    broken = sum(item.fault is not None for item in found.values())
    logger.info("%d video files checked, %d with problems", len(paths), broken)
    return found


def _look_at(path: str, length: bool) -> Surveyed:
    fault = probe(path)
    if fault is not None or not length:
        return Surveyed(fault)
    return Surveyed(seconds=file_seconds(path))


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
