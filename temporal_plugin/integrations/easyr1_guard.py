"""A replaced function of EasyR1 must be the one that was read: EasyR1 has no releases to go by."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

COMMIT = "b44b311b669bf1fd1aa2fc36f2251482ba33cb16"
"""The head of github.com/hiyouga/EasyR1 of 2026-07-30, whose functions are known."""


class EasyR1ChangedError(ImportError):
    """A function that this package replaces or relies on is not the one it knows."""


def fingerprint(function: Any) -> str:
    """16 hex digits of a function's source, however it is wrapped and indented."""
    source = " ".join(inspect.getsource(inspect.unwrap(function)).split())
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def checked(function: Callable, name: str, known: str) -> Callable:
    """`function` if it is the known one.

    Raises:
        EasyR1ChangedError: it has changed, so that a replacement might undo what is new in it.
    """
    found = fingerprint(function)
    if found != known:
        raise EasyR1ChangedError(
            f"EasyR1's {name} (source {found}) is not the one that temporal-plugin replaces "
            f"({known}): use EasyR1 at commit {COMMIT[:7]}, or a newer temporal-plugin"
        )
    return function
