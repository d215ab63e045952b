"""Files of exported rows: JSON, JSON lines and Parquet, whole or not there at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

PARQUET_ROWS = 4096
"""Rows that are held at a time."""


def write_rows(path: Path, suffix: str, rows: Iterator[dict[str, Any]], *, clips: bool) -> int:
    """Writes the rows one after another and returns how many there were.

    `suffix` says in which form; `clips`, for Parquet, whether `videos` holds clips.

    Raises:
        ImportError: pyarrow is not installed (only for .parquet).
    """
    if suffix == ".parquet":
        return _write_parquet(path, rows, clips)
    count = 0
    first, between, last = ("[\n", ",\n", "\n]\n") if suffix == ".json" else ("", "\n", "\n")
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for count, row in enumerate(rows, start=1):
            file.write(first if count == 1 else between)
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False))
        file.write(last)
    return count


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]], clips: bool) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("writing .parquet needs pyarrow: pip install pyarrow") from error
    count, schema = 0, _schema(pyarrow, clips)
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, PARQUET_ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def _schema(pyarrow: Any, clips: bool) -> Any:
    """The columns of `trainer_row`; inferred ones would change with the first rows of a file."""
    text, number = pyarrow.string(), pyarrow.float64()
    video = text
    if clips:
        names = (("video", text), ("video_start", number), ("video_end", number))
        video = pyarrow.struct(list(names))
    info = {"index": pyarrow.int64()} | dict.fromkeys(
        ("id", "split", "contract", "prompt", "prompt_fingerprint"), text
    )
    message = pyarrow.struct([("role", text), ("content", text)])
    return pyarrow.schema(
        [
            ("problem", text),
            ("answer", text),
            ("prompt", pyarrow.list_(message)),
            ("videos", pyarrow.list_(video)),
            ("data_source", text),
            ("ability", text),
            ("reward_model", pyarrow.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pyarrow.struct(list(info.items()))),
        ]
    )


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 with LF, whole or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write into, which gets its name only when all went well."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def as_json(value: object) -> str:
    """Indented JSON; NaN and infinity raise ValueError."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
