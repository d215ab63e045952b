"""JSON read strictly: no NaN, no infinity, no key twice, and errors that name file and line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError, shown

_BOM = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 64 * 2**20
"""Of a line in a file of lines, so that one without line ends is not read whole."""


def read_text(path: Path) -> str:
    """The whole file as text.

    Raises:
        AnnotationError: the file is missing, is not UTF-8 text or holds nothing.
    """
    lines = [_text(raw, path, number) for number, raw in _raw_lines(path)]
    if not any(line.strip() for line in lines):
        raise _empty(path)
    return "".join(lines)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """`(line number from 1, text)` of each line that is not blank; lines end in LF or CRLF.

    Raises:
        AnnotationError: the file is missing, is not UTF-8 text or holds nothing.
    """
    empty = True
    for number, raw in _raw_lines(path, MAX_LINE_BYTES):
        if len(raw) == MAX_LINE_BYTES:
            raise AnnotationError(
                "a line without end",
                where=f"{path}:{number}",
                allowed=f"lines of less than {MAX_LINE_BYTES:,} bytes",
                remedy="check that this is a file of lines",
            )
        line = _text(raw, path, number).rstrip("\r\n")
        if line.strip():
            empty = False
            yield number, line
    if empty:
        raise _empty(path)


def _raw_lines(path: Path, limit: int = -1) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(partial(file.readline, limit), b""), start=1):
                yield number, raw.removeprefix(_BOM) if number == 1 else raw
    except OSError as error:
        raise AnnotationError(
            f"cannot be read ({error.strerror})",
            where=str(path),
            remedy="check the path; relative ones start at the config's folder",
        ) from None


def _text(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AnnotationError(
            "not text",
            where=f"{path}:{number}",
            value=raw[error.start : error.start + 8],
            allowed="UTF-8 text",
            remedy="check that this is the annotation file, and convert it to UTF-8",
        ) from None


def _empty(path: Path) -> AnnotationError:
    return AnnotationError(
        "the file is empty", where=str(path), remedy="check that its download finished"
    )


def loads(text: str, where: str) -> Any:
    """The JSON value of `text`.

    Raises:
        AnnotationError: placed at `where`; not JSON, a number that is not finite, a key
            twice in one object, or nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        start = max(0, error.pos - 20)
        place = where if error.lineno == 1 else f"{where}:{error.lineno}"
        raise AnnotationError(
            f"not JSON ({error.msg}, column {error.colno})",
            where=place,
            value=error.doc[start : start + 40],
            allowed="one complete JSON value",
        ) from None
    except RecursionError:
        raise AnnotationError("nested too deeply", where=where, allowed="flat rows") from None
    except AnnotationError as error:
        raise error.at(where) from None
    except ValueError as error:  # an integer with thousands of digits
        raise AnnotationError(
            f"holds a number that cannot be read ({error})", where=where, allowed="finite numbers"
        ) from None


def _refuse_constant(name: str) -> float:
    raise AnnotationError("not a number", value=name, allowed="finite numbers")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse_constant(digits)
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise AnnotationError(
                f"key {shown(key)} is there twice in one object",
                field=key if len(key) <= 100 else "",
                allowed="each key once",
                remedy="remove one of the two",
            )
        seen.add(key)
    return found


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object
)
