"""Copies of the videos behind a remote `data_folder`, made before anything needs them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from temporal_plugin.annotations import remote
from temporal_plugin.annotations.data_config import entries, load
from temporal_plugin.annotations.errors import AnnotationError

logger = logging.getLogger(__name__)


def fetch_videos(
    path: str | Path,
    *,
    workers: int = 8,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[int, list[AnnotationError]]:
    """Copies the videos that the config's samples need and that are not here yet.

    Args:
        on_progress: called after each with (videos done, videos in all).

    Returns:
        how many were copied, and the errors of the others.

    Raises:
        AnnotationError: as `load`.
        ImportError: fsspec is not installed (names the pip command).
    """
    path = Path(path)
    origins = {config.data_folder: config.data_url for config in entries(path) if config.data_url}
    wanted = {
        file: f"{url}/{file.relative_to(folder).as_posix()}"
        for file in dict.fromkeys(Path(sample.video) for sample in load(path).samples)
        for folder, url in origins.items()
        if file.is_relative_to(folder) and not file.is_file()
    }
    problems: list[AnnotationError] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
        jobs = [pool.submit(remote.fetch, url, file) for file, url in wanted.items()]
        for done, job in enumerate(as_completed(jobs), start=1):
            error = job.exception()
            if isinstance(error, AnnotationError):
                problems.append(error)
            elif error is not None:
                raise error
            if on_progress is not None:
                on_progress(done, len(jobs))
    logger.info("%d videos fetched, %d not", len(wanted) - len(problems), len(problems))
    return len(wanted) - len(problems), sorted(problems, key=str)
