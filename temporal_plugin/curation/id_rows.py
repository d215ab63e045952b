"""Rows with an id: each once, whatever the shards and their order, and as JSONL sorted by id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from temporal_plugin.annotations.strict_json import loads, read_lines


class _Row(Protocol):
    id: str

    def to_dict(self) -> dict[str, Any]: ...


Row = TypeVar("Row", bound=_Row)
LogRow = Mapping[str, Any]


def each_once(rows: Iterable[LogRow], content: Callable[[LogRow], Any]) -> tuple[list[LogRow], int]:
    """The first row of each id in one or several sample logs, and how many came again.

    Args:
        rows: as `lmms_eval_results` reads them.
        content: what must be equal where an id comes twice, as a JSON value.

    Raises:
        ValueError: an id twice with different content.
    """
    seen: dict[str, str] = {}
    unique, copies = [], 0
    for row in rows:
        text = json.dumps(content(row))
        if row["id"] not in seen:
            seen[row["id"]] = text
            unique.append(row)
        elif seen[row["id"]] == text:
            copies += 1
        else:
            raise ValueError(
                f"{row['id']!r} was answered twice, differently: give the logs of one run "
                "only, each shard once"
            )
    return unique, copies


def write(path: str | Path, rows: Iterable[_Row]) -> int:
    """Writes a JSONL, sorted by id: equal rows give equal bytes. Returns their number."""
    ordered = sorted(rows, key=lambda item: item.id)
    lines = [json.dumps(row.to_dict(), ensure_ascii=False) + "\n" for row in ordered]
    Path(path).write_text("".join(lines), encoding="utf-8")
    return len(ordered)


def read(path: str | Path, from_dict: Callable[[Any], Row]) -> dict[str, Row]:
    """The rows of such a JSONL by id.

    Raises:
        AnnotationError: the file is missing, empty or not JSON.
        ValueError: a row is malformed (names the line), or an id is there twice.
    """
    found: dict[str, Row] = {}
    for number, line in read_lines(Path(path)):
        where = f"{path}:{number}"
        value = loads(line, where)
        try:
            row = from_dict(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
        if row.id in found:
            raise ValueError(f"{where}: {row.id!r} is there twice; keep one of the rows")
        found[row.id] = row
    return found
