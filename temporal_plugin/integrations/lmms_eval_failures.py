"""Videos that could not be shown to the model, so that their questions count as failed requests."""

from __future__ import annotations

_REASONS: dict[str, str] = {}


def record(video: str, reason: str) -> None:
    """Note that the file `video` (its path, as in the sample) failed; the first reason stays."""
    _REASONS.setdefault(video, reason)


def reason(video: str) -> str | None:
    """Why the file failed in this process, or None."""
    return _REASONS.get(video)


def clear() -> None:
    """Forget all."""
    _REASONS.clear()
