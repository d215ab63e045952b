"""What asks for frames: one interface, whether the search runs in this process or elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from temporal_plugin.search.frame_search import FrameSearch
from temporal_plugin.search.settings import SearchSettings
from temporal_plugin.spans import Span
from temporal_plugin.video.frames import Frames


class SearchUnavailable(RuntimeError):
    """The search itself is down or too slow; neither the video nor the question is at fault."""


class SearchClient(Protocol):
    """Finds frames without blocking the event loop.

    Attributes:
        counts: what happened so far: `calls`, `retries`, `timeouts`, ...
    """

    counts: Counter[str]

    async def seek(
        self,
        video: str | Path,
        query: str,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        num_frames: int = 8,
        clip: Span | None = None,
    ) -> Frames:
        """As `FrameSearch.seek`, whose errors it raises, and SearchUnavailable."""
        ...

    def close(self) -> None:
        """Free what the search holds; the next call starts it again."""
        ...


class LocalClient:
    """Searches in threads of this process; the encoder is loaded by the first call."""

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self._search: FrameSearch | None = None
        self._lock = threading.Lock()

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
        arguments = (video, query, start_seconds, end_seconds, num_frames, clip)
        return await asyncio.to_thread(self._seek, *arguments)

    def close(self) -> None:
        """Forget the encoder."""
        self._search = None

    def _seek(self, *arguments: Any) -> Frames:
        with self._lock:
            search = self._search = self._search or self.settings.open()
        return search.seek(*arguments)


def local_search(settings: Mapping[str, Any]) -> LocalClient:
    """A client that searches in this process, for evaluation.

    Raises:
        ValueError: a setting is unknown or out of range.
    """
    return LocalClient(SearchSettings.from_mapping(settings))
