"""Embedding many videos ahead of time, in worker processes and on many machines."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from temporal_plugin.search.embed import BATCH, DualEncoder, fingerprint, load_encoder
from temporal_plugin.search.embedding_store import EmbeddingStore
from temporal_plugin.video.frame_store import build, upkeep
from temporal_plugin.video.frame_store.build import Done, Job
from temporal_plugin.video.sampling import Sampling

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedder:
    """Which encoder embeds into which folder; see `embed.load_encoder`."""

    encoder: str
    store: str
    fps: float = 2.0
    device: str | None = None
    dtype: str = "auto"
    batch_size: int = BATCH


def shard(videos: Sequence[str], number: int, count: int) -> list[str]:
    """Every `count`-th of the videos, starting with the `number`-th (1 to `count`).

    Raises:
        ValueError: there is no such shard.
    """
    if not 1 <= number <= count:
        raise ValueError(f"shard is {number}/{count}; needed: i/n with 1 <= i <= n")
    return list(videos[number - 1 :: count])


def embed_videos(embedder: Embedder, videos: Sequence[str], *, workers: int = 1) -> Iterator[Done]:
    """Embed every video; what is there already is skipped, so it can be resumed.

    A video that fails, or ends its worker, fails alone. Each worker loads the encoder once.

    Args:
        embedder: how and where to.
        videos: paths; each once.
        workers: processes on this machine (spawned, never forked).

    Yields:
        one Done per video ("built", "there", "failed" or "unwritable"), as they end; `bytes` is
        the size of its vectors. An unwritable folder ends it all.

    Raises:
        OSError: there is no such encoder.
        ValueError: fps is not above 0.
    """
    store, known = EmbeddingStore(embedder.store), fingerprint(embedder.encoder)
    upkeep.remove_left_behind(store.folder)
    missing = []
    for video in videos:
        job = Job(video, Sampling(fps=embedder.fps))
        if store.has(video, known, embedder.fps):
            yield Done(job, "there")
        else:
            missing.append(job)
    if not missing:
        return
    for done in build.in_processes(partial(embed_one, embedder), missing, workers):
        yield done
        if done.state == "unwritable":
            return


def embed_one(embedder: Embedder, job: Job) -> Done:
    """Embed one video in this process; never raises for what is wrong with a video."""
    start = time.monotonic()
    encoder, store = _encoder(embedder), EmbeddingStore(embedder.store)
    try:
        size = store.get(job.path, encoder, embedder.fps).features.nbytes
        there = store.has(job.path, encoder.fingerprint, embedder.fps)
        state = "built" if there else "unwritable"
        reason = "" if there else f"the embedding store {store.folder} cannot be written"
    except (ValueError, OSError) as error:  # VideoError is a ValueError
        size, state, reason = 0, "failed", str(error)
    except Exception as error:
        logger.exception("%s", job.path)
        size, state, reason = 0, "failed", f"{job.path}: {type(error).__name__}: {error}"
    return Done(job, state, reason, time.monotonic() - start, size)


@lru_cache(maxsize=1)
def _encoder(embedder: Embedder) -> DualEncoder:
    return load_encoder(embedder.encoder, embedder.device, embedder.dtype, embedder.batch_size)
