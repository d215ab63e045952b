"""Filling a store ahead of time, in worker processes or on a Ray cluster."""

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from temporal_plugin.spans import Span
from temporal_plugin.video.frame_store.store import FrameStore
from temporal_plugin.video.sampling import Sampling

logger = logging.getLogger(__name__)

#: jobs handed out per worker: enough to keep it busy, few enough to try alone after a crash
AHEAD = 2


@dataclass(frozen=True)
class Job:
    """One entry to build: a video, a part of it, how it is sampled."""

    path: str
    sampling: Sampling
    clip: Span | None = None
    patch_size: int = 14


@dataclass(frozen=True)
class Done:
    """What became of a job.

    Attributes:
        job: the job.
        state: "built", "there" (it was stored already), "failed", or "unwritable" (the folder
            takes no more, for example because the disk is full).
        reason: why it is not stored, else "".
        seconds: time it took.
        bytes: size of its pixels, 0 for what was there.
    """

    job: Job
    state: str
    reason: str = ""
    seconds: float = 0.0
    bytes: int = 0


def build(
    store: FrameStore, jobs: Iterable[Job], *, workers: int = 1, ray: bool = False
) -> Iterator[Done]:
    """Store the frames of every job; what is there already is skipped, so it can be resumed.

    A job that fails, or ends its worker, fails alone.

    Args:
        store: where to.
        jobs: what to build.
        workers: processes on this machine (spawned, never forked).
        ray: run the jobs as tasks of one processor each on the Ray cluster that `ray.init()`
            finds, or in a local one; `workers` has no meaning then.

    Yields:
        one Done per job, as they end; an unwritable folder ends it all.

    Raises:
        ImportError: Ray is not installed (names the pip command).
    """
    missing = []
    for job in jobs:
        if is_there(store, job):
            yield Done(job, "there")
        else:
            missing.append(job)
    if not missing:
        return
    work = partial(build_one, store)
    for done in _on_ray(store, missing) if ray else in_processes(work, missing, workers):
        yield done
        if done.state == "unwritable":
            return


def build_one(store: FrameStore, job: Job) -> Done:
    """Build one entry in this process; never raises for what is wrong with a video."""
    start = time.monotonic()
    try:
        size = store.load(
            job.path, job.sampling, clip=job.clip, patch_size=job.patch_size
        ).pixels.nbytes
        state, reason = _kept(store, job)
    except (ValueError, OSError) as error:  # VideoError is a ValueError
        size, state, reason = 0, "failed", str(error)
    except Exception as error:
        logger.exception("%s", job.path)
        size, state, reason = 0, "failed", f"{job.path}: {type(error).__name__}: {error}"
    return Done(job, state, reason, time.monotonic() - start, size)


def _kept(store: FrameStore, job: Job) -> tuple[str, str]:
    """(state, reason) of a job that was decoded."""
    if is_there(store, job):
        return "built", ""
    if not store.is_writable():
        return "unwritable", f"the frame store {store.folder} cannot be written"
    return "failed", (
        f"{job.path}: its frames are more than the frame store may hold "
        f"(max_bytes {store.settings.max_bytes}); raise the limit or lower the sampling's pixels"
    )


def is_there(store: FrameStore, job: Job) -> bool:
    """Whether the store has the job's entry; False too where there is no such video."""
    try:
        return store.has(job.path, job.sampling, clip=job.clip, patch_size=job.patch_size)
    except OSError:
        return False  # no such video: `load` says what is wrong with it


def in_processes(work: Callable[[Job], Done], jobs: Iterable[Job], workers: int) -> Iterator[Done]:
    """What `work` says of every job, as they end; a job that ends its process fails alone.

    Args:
        work: never raises for what is wrong with a video; can be pickled.
        jobs: what to do.
        workers: processes on this machine (spawned, never forked).
    """
    suspects: list[Job] = []
    for job, done in _whatever_dies(work, jobs, workers, AHEAD * workers):
        if done is None:
            suspects.append(job)  # one of those that were handed out when a worker ended
        else:
            yield done
    if suspects:
        logger.warning("a worker process ended; %d videos are tried one by one", len(suspects))
    for job, done in _whatever_dies(work, suspects, workers=1, ahead=1):
        yield done or _ended(job)


def _ended(job: Job) -> Done:
    reason = f"{job.path}: the process that decoded it ended; re-encode or remove the video"
    return Done(job, "failed", reason)


def _whatever_dies(
    work: Callable[[Job], Done], jobs: Iterable[Job], workers: int, ahead: int
) -> Iterator[tuple[Job, Done | None]]:
    """(job, what became of it), None for the up to `ahead` jobs that were out at a crash."""
    left = iter(jobs)
    while True:
        try:
            yield from _pooled(work, left, workers, ahead)
        except BrokenProcessPool:
            continue  # each crash uses up a job at least, so this ends
        return


def _pooled(
    work: Callable[[Job], Done], jobs: Iterator[Job], workers: int, ahead: int
) -> Iterator[tuple[Job, Done | None]]:
    """As `_whatever_dies`, but raises BrokenProcessPool after the first crash."""
    context = multiprocessing.get_context("spawn")  # a fork would copy a decoder's locks
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    running: dict[Future, Job] = {}
    broken: BrokenProcessPool | None = None
    try:
        while True:
            while broken is None and len(running) < ahead:
                job = next(jobs, None)
                if job is None:
                    break
                try:
                    running[pool.submit(work, job)] = job
                except BrokenProcessPool as error:
                    broken = error
                    yield job, None
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                try:
                    yield job, future.result()
                except BrokenProcessPool as error:
                    broken = error
                    yield job, None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if broken is not None:
        raise broken


def _start_worker() -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends the pool
    torch.set_num_threads(1)  # the workers are the parallelism


def _on_ray(store: FrameStore, jobs: list[Job]) -> Iterator[Done]:
    try:
        import ray
    except ImportError as error:
        raise ImportError("building on a Ray cluster needs Ray: pip install ray") from error

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
    try:
        # A crash is tried again once: it may have been the machine's, not the video's.
        task = ray.remote(num_cpus=1, max_retries=1)(build_one)
        waiting = iter(jobs)
        submit: Callable[[Job], Any] = partial(task.remote, store)
        processors = int(ray.cluster_resources().get("CPU", 1))
        running = {submit(job): job for job in islice(waiting, AHEAD * processors)}
        while running:
            ready, _ = ray.wait(list(running), num_returns=1)
            job = running.pop(ready[0])
            try:
                yield ray.get(ready[0])
            except ray.exceptions.RayError as error:
                logger.info("%s: %s", job.path, error)
                yield _ended(job)
            for following in islice(waiting, 1):
                running[submit(following)] = following
    finally:
        if started:
            ray.shutdown()
