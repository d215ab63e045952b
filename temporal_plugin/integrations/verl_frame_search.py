"""Frame search inside the Ray cluster that verl runs: no server to install or to stop.

A pool of actors is found by name in the job's own Ray namespace, or started by whoever asks
first. They belong to the job: when it ends they end, and two jobs on one cluster never share any
(detached actors would outlive a killed run, and hold its memory until somebody finds them).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray.exceptions import ActorDiedError, RayActorError

from temporal_plugin.search.client import LocalClient, SearchClient, SearchUnavailable
from temporal_plugin.search.frame_search import FrameSearch, SearchError
from temporal_plugin.search.settings import SearchSettings
from temporal_plugin.spans import Span
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.frames import Frames

logger = logging.getLogger(__name__)

#: errors of a call, which go to its caller alone: name on the wire -> what the caller gets
CALL_ERRORS = {"video": VideoError, "search": SearchError}
#: settings that the actors do not know
CLIENT_SETTINGS = ("replicas", "retries", "call_seconds", "start_seconds")
#: pause before a replica that is starting again is asked once more
PAUSE_SECONDS = 0.2


def frame_search(settings: Mapping[str, Any]) -> SearchClient:
    """A client of the cluster's search actors, which the first call starts.

    Any process of the job may have one; they share the actors. `replicas: 0` searches in this
    process instead.

    Raises:
        ValueError: a setting is unknown or out of range.
        RuntimeError: this process belongs to no Ray cluster.
    """
    found = SearchSettings.from_mapping(settings)
    if found.replicas == 0:
        return LocalClient(found)
    if not ray.is_initialized():
        raise RuntimeError(
            f"search.replicas is {found.replicas}, but this process belongs to no Ray cluster; "
            "call ray.init() first, or set search.replicas to 0 to search in this process"
        )
    return RayClient(found)


class SearchReplica:
    """The actor: one search that several threads use. Run by Ray."""

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self._search: FrameSearch | None = None
        self._lock = threading.Lock()
        torch.set_num_threads(settings.threads)

    def start(self) -> str:
        """Load the encoder; what is wrong with the settings, or ""."""
        try:
            with self._lock:
                self._search = self._search or self.settings.open()
        except (ValueError, OSError, ImportError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def seek(self, *arguments: Any) -> dict[str, Any]:
        """As `FrameSearch.seek`; frames as arrays, and a call's own errors as a reply."""
        try:
            found = self._search.seek(*arguments)
        except VideoError as error:
            return {"error": "video", "message": str(error)}
        except SearchError as error:
            return {"error": "search", "message": str(error)}
        return {
            "pixels": found.pixels.numpy(),
            "pts_seconds": found.pts_seconds,
            "indices": found.indices,
            "source_fps": found.source_fps,
            "total_frames": found.total_frames,
            "clip": found.clip,
        }


class RayClient:
    """Asks the actors; a call whose actor dies is tried again on another.

    Args:
        settings: clients of equal settings (but for CLIENT_SETTINGS) share their actors.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self._actors: dict[int, Any] = {}
        self._started: set[int] = set()
        self._busy: Counter[int] = Counter()

    async def seek(
        self,
        video: str | Path,
        query: str,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        num_frames: int = 8,
        clip: Span | None = None,
    ) -> Frames:
        """See `SearchClient.seek`."""
        self.counts["calls"] += 1
        arguments = (str(video), query, start_seconds, end_seconds, num_frames, clip)
        number = self._place(str(video))
        for left in reversed(range(self.settings.retries + 1)):
            try:
                return _frames(await self._ask(number, arguments))
            except RayActorError as error:
                self._forget(number, error)
                reason = error
            if left:
                self.counts["retries"] += 1
                number = (number + 1) % self.settings.replicas
        raise SearchUnavailable(
            f"{self.settings.retries + 1} search actors in turn ended while they worked on "
            f"{video}: {reason}"
        ) from reason

    def close(self) -> None:
        """Let go of the actors; they end with the job."""
        self._actors.clear()
        self._started.clear()

    def _place(self, video: str) -> int:
        """The freer of two replicas that go with the video, whose index they may have read."""
        digest = int.from_bytes(hashlib.sha256(video.encode()).digest()[:8], "big")
        pair = [(digest + step) % self.settings.replicas for step in (0, 1)]
        return min(pair, key=lambda number: self._busy[number])

    async def _ask(self, number: int, arguments: tuple) -> dict[str, Any]:
        self._busy[number] += 1
        try:
            actor = await self._replica(number)
            waiting = asyncio.wrap_future(actor.seek.remote(*arguments).future())
            return await asyncio.wait_for(waiting, self.settings.call_seconds)
        except asyncio.TimeoutError as error:
            self.counts["timeouts"] += 1
            raise SearchUnavailable(
                f"no frames of {arguments[0]} after {self.settings.call_seconds:g} s "
                "(search.call_seconds); embed the videos ahead with `temporal-plugin frames embed`"
            ) from error
        finally:
            self._busy[number] -= 1

    async def _replica(self, number: int) -> Any:
        """An actor that has loaded its encoder, started or waited for if need be."""
        deadline = time.monotonic() + self.settings.start_seconds
        while number not in self._started:
            try:
                actor = self._actors[number] = self._actors.get(number) or self._open(number)
                waiting = asyncio.wrap_future(actor.start.remote().future())
                problem = await asyncio.wait_for(waiting, max(0.0, deadline - time.monotonic()))
            except asyncio.TimeoutError as error:
                raise SearchUnavailable(_not_started(self.settings)) from error
            except RayActorError as error:
                self._forget(number, error)
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if problem:
                raise ValueError(f"the frame search cannot start: {problem}")
            self._started.add(number)
        return self._actors[number]

    def _open(self, number: int) -> Any:
        settings = self.settings
        options = {
            "name": f"temporal_plugin_search_{_pool(settings)}_{number}",
            "get_if_exists": True,
            "max_restarts": -1,
            "max_concurrency": settings.concurrency + 1,  # `start` answers while all are busy
            "num_cpus": settings.cpus,
            "num_gpus": settings.gpus,
            "scheduling_strategy": "SPREAD",
        }
        return ray.remote(SearchReplica).options(**options).remote(settings)

    def _forget(self, number: int, error: RayActorError) -> None:
        """Ask a replica anew whether it is ready; one that is gone for good is made again."""
        if number in self._started:  # once for all calls that it was working on
            logger.warning("search actor %d is gone, going on without it: %s", number, error)
        self._started.discard(number)
        if isinstance(error, ActorDiedError):
            self._actors.pop(number, None)


def _frames(reply: dict[str, Any]) -> Frames:
    if "error" in reply:
        raise CALL_ERRORS[reply["error"]](reply["message"])
    # what Ray gives is read-only shared memory
    pixels = torch.from_numpy(np.array(reply.pop("pixels")))
    return Frames(pixels=pixels, **{**reply, "pts_seconds": np.array(reply["pts_seconds"])})


def _pool(settings: SearchSettings) -> str:
    """Equal where the actors are: what only the asking side goes by does not count."""
    values = {name: value for name, value in vars(settings).items() if name not in CLIENT_SETTINGS}
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:12]


def _not_started(settings: SearchSettings) -> str:
    free = ray.available_resources()
    return (
        f"a search actor did not start in {settings.start_seconds:g} s (search.start_seconds); it "
        f"needs {settings.cpus:g} CPU and {settings.gpus:g} GPU, free are {free.get('CPU', 0):g} "
        f"and {free.get('GPU', 0):g}: lower search.cpus and search.gpus (a trainer holds its GPUs)"
    )
