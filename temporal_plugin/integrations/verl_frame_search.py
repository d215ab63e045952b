"""Frame search inside the Ray cluster that verl runs: no server to install or to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporal_plugin.search.client import LocalClient, SearchClient
from temporal_plugin.search.settings import SearchSettings


def frame_search(settings: Mapping[str, Any]) -> SearchClient:
    """A client of the cluster's search actors, which the first call starts.

    Raises:
        ValueError: a setting is unknown or out of range.
    """
    found = SearchSettings.from_mapping(settings)
    return LocalClient(found)
