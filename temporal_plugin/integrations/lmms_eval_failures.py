"""What could not be answered, so that its questions count as failed requests.

A video that cannot be shown fails all its questions; a request that a server did not answer fails
its own question only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RequestFailed(Exception):
    """A question cannot be scored for a reason that is not its answer: it fails, and counts."""


_REASONS: dict[str, str] = {}
_REQUESTS: dict[tuple, str] = {}
_UNASKED: dict[tuple, str] = {}


def record(video: str, reason: str) -> None:
    """Note that the file `video` (its path, as in the sample) failed; the first reason stays."""
    _REASONS.setdefault(video, reason)


def reason(video: str) -> str | None:
    """Why the file failed in this process, or None."""
    return _REASONS.get(video)


def record_request(doc: Mapping[str, Any], reason: str) -> None:
    """Note that a request of the document `doc` was not answered; the first reason stays."""
    _REQUESTS.setdefault(_key(doc), reason)


def request_reason(doc: Mapping[str, Any]) -> str | None:
    """Why a request of the document failed in this process, or None."""
    return _REQUESTS.get(_key(doc))


def record_unasked(doc: Mapping[str, Any], reason: str) -> None:
    """Note that the document `doc` has nothing to ask about; that is no failure."""
    _UNASKED.setdefault(_key(doc), reason)


def unasked_reason(doc: Mapping[str, Any]) -> str | None:
    """Why the document is not asked, or None."""
    return _UNASKED.get(_key(doc))


def clear() -> None:
    """Forget all."""
    _REASONS.clear()
    _REQUESTS.clear()
    _UNASKED.clear()


def _key(doc: Mapping[str, Any]) -> tuple:
    """Equal for the same question in the same words and settings about the same file."""
    return doc.get("prompt"), doc.get("sample"), doc.get("reflection")
