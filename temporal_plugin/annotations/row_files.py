"""The rows of a table, whatever file it lies in: JSON array, JSON lines, Parquet or CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.strict_json import loads, read_lines, read_text

OnError = Callable[[AnnotationError], None]
Row = tuple[str, int, Any]
"""(place for errors, number from 0, what stands there)"""

BATCH_ROWS = 1024
"""Rows of a Parquet file that are Python objects at a time."""


def rows(
    path: Path, on_error: OnError, kinds: tuple[str, ...] = (".json", ".jsonl")
) -> Iterator[Row]:
    """The rows of a file whose suffix is one of `kinds`, in file order.

    JSON lines, Parquet and CSV are streamed; a JSON array is held whole. A line that cannot
    be read goes to `on_error`, and reading goes on if that returns.

    Raises:
        AnnotationError: another kind of file, or the file as a whole cannot be read.
    """
    if path.suffix not in kinds:
        raise AnnotationError(
            "unknown kind of annotation file",
            where=str(path),
            value=path.suffix,
            allowed=", ".join(kinds),
        )
    if path.suffix == ".jsonl":
        yield from _lines(path, on_error)
    elif path.suffix == ".parquet":
        yield from parquet_rows(path)
    elif path.suffix == ".csv":
        yield from _csv(path)
    else:
        yield from _array(path)


def json_object(path: Path, what: str) -> dict[str, Any]:
    """A JSON file that holds one object with at least one key; `what` says of what form.

    Raises:
        AnnotationError: it is missing, broken, or holds something else.
    """
    table = loads(read_text(path), str(path))
    if not isinstance(table, dict) or not table:
        raise AnnotationError("not such a table", where=str(path), value=table, allowed=what)
    return table


def _array(path: Path) -> Iterator[Row]:
    table = loads(read_text(path), str(path))
    if not isinstance(table, list) or not table:
        raise AnnotationError(
            "no list of rows", where=str(path), value=table, allowed="[{...}, ...]"
        )
    for number, row in enumerate(table):
        yield f"{path}[{number}]", number, row


def _lines(path: Path, on_error: OnError) -> Iterator[Row]:
    for line_number, line in read_lines(path):
        where = f"{path}:{line_number}"
        try:
            row = loads(line, where)
        except AnnotationError as error:
            on_error(error)
            continue
        yield where, line_number - 1, row


def _csv(path: Path) -> Iterator[Row]:
    # Lines are joined again inside quotes, which is why `where` counts rows and not lines.
    table = csv.DictReader((f"{line}\n" for _, line in read_lines(path)), strict=True)
    try:
        for number, row in enumerate(table):
            if None in row or None in row.values():
                raise AnnotationError(
                    "not as many values as the header has columns",
                    where=f"{path}[{number}]",
                    allowed=f"the columns {', '.join(table.fieldnames or ())}",
                    remedy="check that its download finished",
                )
            yield f"{path}[{number}]", number, row
    except csv.Error as error:
        raise AnnotationError(f"not a CSV ({error})", where=str(path)) from None


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file as JSON values, `BATCH_ROWS` of them in memory at a time.

    Raises:
        ImportError: pyarrow is not installed (names the pip command).
        AnnotationError: the file is missing or no Parquet; a value is not JSON (NaN, bytes).
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError("reading Parquet needs pyarrow: pip install pyarrow") from error
    number = 0
    try:
        # Without pre_buffer, which would hold a whole row group.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    where = f"{path}[{number}]"
                    yield where, number, _json_row(row, where)
                    number += 1
    except (OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:
            raise AnnotationError(
                f"cannot be read ({error.strerror})", where=str(path), remedy="check the path"
            ) from None
        raise AnnotationError(
            f"not Parquet ({str(error).splitlines()[0][:200]})",
            where=str(path),
            remedy="check that its download finished",
        ) from None
    if not number:
        raise AnnotationError("the file has no rows", where=str(path))


def _json_row(row: dict[str, Any], where: str) -> dict[str, Any]:
    for name, value in row.items():
        if not _is_json(value):
            raise AnnotationError(
                "not a JSON value",
                where=where,
                field=name,
                value=value,
                allowed="text, finite numbers, booleans, nulls, lists and structs of them",
                remedy="remove the column, or convert it",
            )
    return row


def _is_json(value: Any) -> bool:
    if value is None or isinstance(value, (str, bool, int)):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return isinstance(value, list) and all(map(_is_json, value))
