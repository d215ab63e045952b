"""Frames of a long video that fit a query: chosen by their embeddings, read at their real times."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from temporal_plugin.search import dpp
from temporal_plugin.search.embed import DualEncoder
from temporal_plugin.search.embedding_store import Embeddings, EmbeddingStore, embedding_plan
from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import plan_frames
from temporal_plugin.video.sampling import Sampling


class SearchError(ValueError):
    """A search cannot be done as asked; the message tells a model what to ask instead."""


def _dpp(features: np.ndarray, query: np.ndarray, count: int) -> list[int]:
    """Fits the query and differs from each other (TimeSearch-R, arXiv 2511.05489, section 3)."""
    return dpp.select(features, query, count)


def _top_k(features: np.ndarray, query: np.ndarray, count: int) -> list[int]:
    """Fits the query best; the earlier of equals."""
    order = np.argsort(-dpp.relevance(features, query), kind="stable")
    return sorted(order[:count].tolist())


def _uniform(features: np.ndarray, query: np.ndarray | None, count: int) -> list[int]:
    """Evenly over the window, whatever the query."""
    return np.linspace(0, len(features) - 1, count).round().astype(int).tolist()


METHODS: dict[str, Callable[..., list[int]]] = {"dpp": _dpp, "top_k": _top_k, "uniform": _uniform}


def select(
    embeddings: Embeddings,
    query_feature: np.ndarray | None,
    *,
    start_seconds: float,
    end_seconds: float,
    count: int,
    method: str = "dpp",
) -> list[int]:
    """Which frames of a window to show: rising positions in `embeddings`.

    Args:
        embeddings: of the whole video.
        query_feature: float32 [D], of length 1; None is enough for "uniform".
        start_seconds, end_seconds: the half-open window [start, end), in seconds of the file.
        count: how many; all of the window's frames where there are no more.
        method: "dpp", "top_k" or "uniform".

    Raises:
        SearchError: no frame lies in the window, or `count` is below 1.
        ValueError: no such method, or the query's vector is another encoder's.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    if count < 1:
        raise SearchError(f"num_frames is {count}; ask for 1 or more")
    times = embeddings.pts_seconds
    first, last = np.searchsorted(times, (start_seconds, end_seconds), side="left").tolist()
    if first >= last:
        raise SearchError(
            f"no frame in a window of {end_seconds - start_seconds:.2f} s; ask for a longer one"
        )
    if last - first <= count:
        return list(range(first, last))
    found = METHODS[method](embeddings.features[first:last], query_feature, count)
    return [first + position for position in found]


class FrameSearch:
    """Finds frames of a video by a query, in this process. Threads may share one.

    Args:
        encoder: makes vectors of frames and queries; None is enough for "uniform".
        store: keeps the frames' vectors; likewise.
        fps: frames per second among which is searched.
        sampling: the size of the frames that are returned (its limits in pixels or tokens).
        method: "dpp", "top_k" or "uniform".
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).

    Raises:
        ValueError: a setting is out of range, or a method lacks its encoder or store.
    """

    def __init__(
        self,
        encoder: DualEncoder | None,
        store: EmbeddingStore | None,
        fps: float = 2.0,
        sampling: Sampling | None = None,
        method: str = "dpp",
        patch_size: int = 14,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
        if method != "uniform" and (encoder is None or store is None):
            raise ValueError(f"method {method!r} needs an encoder and a store; uniform needs none")
        if not 0 < fps < math.inf:
            raise ValueError(f"fps is {fps!r}; it must be above 0 frames per second")
        self.encoder, self.store, self.fps, self.method = encoder, store, fps, method
        self.sampling, self.patch_size = sampling or Sampling(), patch_size

    def seek(
        self,
        video: str | Path,
        query: str,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        num_frames: int = 8,
        clip: Span | None = None,
    ) -> Frames:
        """The frames of a window that fit the query, in order of time.

        Args:
            video: the video file.
            query: what to look for, in words.
            start_seconds, end_seconds: the half-open window, relative to the clip; None is its end.
            num_frames: how many; fewer where the window has no more (at `fps`).
            clip: the part of the file that the model sees.

        Returns:
            Frames with times relative to the clip; 1 to `num_frames` of them.

        Raises:
            VideoError: the video is missing or cannot be decoded.
            SearchError: the window is empty or outside of the video, or the query is empty.
        """
        _check(query, start_seconds, end_seconds, num_frames)
        embeddings = self.embeddings(video)
        zero, length = _seen(video, clip)
        start, end = start_seconds, length if end_seconds is None else min(end_seconds, length)
        if start >= length:
            raise SearchError(
                f"start_time is {start:.1f} s, but the video ends at {length:.1f} s; "
                "ask for an earlier window"
            )
        if start >= end:
            raise SearchError(
                f"start_time is {start:.1f} s and end_time {end:.1f} s; the window must end "
                "after it starts"
            )
        feature = None if self.method == "uniform" else self.encoder.texts([query])[0]
        chosen = select(
            embeddings,
            feature,
            start_seconds=zero + start,
            end_seconds=zero + end,
            count=num_frames,
            method=self.method,
        )
        indices = embeddings.indices[chosen].tolist()
        planned = plan_frames(video, indices, self.sampling, clip, self.patch_size)
        return decode.load_plan(planned, self.sampling)

    def embeddings(self, video: str | Path) -> Embeddings:
        """The frames among which is searched; "uniform" has their times only.

        Raises:
            VideoError: the video is missing or cannot be decoded.
        """
        if self.method != "uniform":
            return self.store.get(video, self.encoder, self.fps)
        planned = embedding_plan(video, self.fps)
        nothing = np.empty((len(planned), 0), np.float32)
        return Embeddings(nothing, planned.pts_seconds, np.array(planned.indices, np.int64))


def _check(query: str, start: float, end: float | None, count: int) -> None:
    if not query.strip():
        raise SearchError("query is empty; say in words what to look for")
    for name, value in (("start_time", start), ("end_time", end)):
        if value is not None and not 0 <= value < math.inf:
            raise SearchError(f"{name} is {value}; give seconds from 0 on")
    if count < 1:
        raise SearchError(f"num_frames is {count}; ask for 1 or more")


def _seen(video: str | Path, clip: Span | None) -> tuple[float, float]:
    """Where in the file the model's second 0 lies, and how many seconds it sees."""
    end = index_packets(video).end_seconds
    if clip is None:
        return 0.0, end
    return clip.start_seconds, min(end, clip.end_seconds) - clip.start_seconds
