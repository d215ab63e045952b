"""Checks of single annotation values; each returns the value or raises `AnnotationError`."""

from __future__ import annotations

import math
import re

from temporal_plugin.annotations.errors import AnnotationError

MAX_SECONDS = 1e9
"""About 31 years: a larger number is a time stamp or another unit, not a position in a video."""

MAX_CHARACTERS = 100_000
"""Of one text: some 25,000 tokens. What is longer is a file in the wrong field."""

# Both flavours, so that a config means the same on every system; "C:.." is a step as well.
_STEP_OUT = re.compile(r"(?:^|[\\/:])\.\.(?:[\\/]|$)")
_NAME = re.compile(r"(?:^|/)(?!\.?(?:/|$))")
"""A part between slashes that is neither empty nor a dot."""


def text(field: str, value: object, *, may_be_empty: bool = False) -> str:
    """`value` if it is a string of at most `MAX_CHARACTERS` that can be written as UTF-8.

    Blank ones pass only where they `may_be_empty`.
    """
    allowed = "a string" if may_be_empty else "a string that is not blank"
    if not isinstance(value, str) or not (may_be_empty or value.strip()):
        raise AnnotationError(f"not {allowed}", field=field, value=value, allowed=allowed)
    if len(value) > MAX_CHARACTERS:
        raise AnnotationError(
            f"{len(value):,} characters long",
            field=field,
            value=value,
            allowed=f"at most {MAX_CHARACTERS:,} characters",
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise AnnotationError(
            "holds half of a surrogate pair", field=field, value=value, allowed="valid Unicode"
        ) from None
    return value


def seconds(field: str, value: object) -> float:
    """`value` as a float if it is a finite number within +-`MAX_SECONDS`."""
    # bool is an int in Python but never a time.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if abs(number) <= MAX_SECONDS:  # False for NaN too
            return number + 0.0  # -0.0, which some files hold, becomes 0.0
    raise AnnotationError(
        "not a usable number of seconds",
        field=field,
        value=value,
        allowed=f"a finite number from 0 to {MAX_SECONDS:.0e} (seconds, not a string)",
    )


def duration(field: str, value: object) -> float | None:
    """`value` in seconds, more than zero, or None where the length is unknown."""
    if value is None:
        return None
    number = seconds(field, value)
    if number <= 0:
        raise AnnotationError(
            "a video has a length",
            field=field,
            value=value,
            allowed="seconds above 0, or null where unknown",
        )
    return number


def number_pair(field: str, value: object) -> tuple[float, float]:
    """`[a, b]` in seconds, in whatever order."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise AnnotationError(
            "not a pair", field=field, value=value, allowed="[start, end] in seconds"
        )
    return seconds(field, value[0]), seconds(field, value[1])


def video_path(field: str, value: object) -> str:
    """`value` if it can be a file path and has no `..` step out of its folder."""
    path = text(field, value)
    # Plain text search: a path object a row would take as long as all the rest of reading.
    if "\0" in path or _STEP_OUT.search(path) or not _NAME.search(path):
        raise AnnotationError(
            "not a safe file path",
            field=field,
            value=value,
            allowed="a path that stays inside its data folder (no '..', no NUL)",
            remedy="name the file relative to data_folder",
        )
    return path


def items(field: str, value: object) -> list | tuple:
    """`value` if it is a list."""
    if isinstance(value, (list, tuple)):
        return value
    raise AnnotationError("not a list", field=field, value=value, allowed="a list")
