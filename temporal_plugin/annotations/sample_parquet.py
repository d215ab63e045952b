"""Our own format as Parquet: a column for each field of `Sample`, `extra` as JSON text.

Both directions are streamed. `extra` is text because a column has one type and `extra` has none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.row_files import BATCH_ROWS, OnError, parquet_rows
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.seen_ids import SeenIds
from temporal_plugin.annotations.strict_json import loads


def read(path: str | Path, *, on_error: OnError, split: str | None = None) -> Iterator[Sample]:
    """The samples of a Parquet file; `split`, where given, is written over each row's own.

    A row that cannot become a sample goes to `on_error`, and reading goes on if that returns.
    """
    path = Path(path)
    seen = SeenIds()
    for where, number, row in parquet_rows(path):
        try:
            sample = Sample.from_dict(_fields(row, where), where=where)
            first = seen.first(sample.id, number)
            if first != number:
                raise AnnotationError(
                    f"the id is taken by row {first}",
                    field="id",
                    value=sample.id,
                    allowed="ids that are unique within everything loaded",
                    remedy="give the row its own id, or remove it if it is a copy",
                )
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        yield sample if split is None else replace(sample, split=split)


def write(path: str | Path, samples: Iterable[Sample]) -> int:
    """Writes the samples as Parquet and returns how many; `read` gives them back equal.

    The file appears under its name only when it is whole. Equal samples give equal bytes with
    one version of pyarrow.

    Raises:
        ImportError: pyarrow is not installed (names the pip command).
        ValueError: an `extra` value is not JSON (NaN and infinity are not).
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError("writing Parquet needs pyarrow: pip install pyarrow") from error
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    samples = iter(samples)
    schema, count = _schema(pa), 0
    try:
        with pq.ParquetWriter(unfinished, schema) as writer:
            while batch := list(islice(samples, BATCH_ROWS)):
                rows = [_row(sample) for sample in batch]
                writer.write_table(pa.Table.from_pylist(rows, schema))
                count += len(rows)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _schema(pa: Any) -> Any:
    seconds = pa.list_(pa.float64())
    types = {
        "spans": pa.list_(seconds),
        "clip": seconds,
        "duration": pa.float64(),
        "options": pa.list_(pa.string()),
    }
    names = Sample.__dataclass_fields__
    return pa.schema([(name, types.get(name, pa.string())) for name in names])


def _row(sample: Sample) -> dict[str, Any]:
    row = sample.to_dict()
    row["extra"] = json.dumps(row["extra"], ensure_ascii=False, allow_nan=False)
    return row


def _fields(row: dict[str, Any], where: str) -> dict[str, Any]:
    """The row with its `extra` parsed; nulls are left to Sample's own defaults."""
    fields = {name: value for name, value in row.items() if value is not None}
    if "extra" in fields:
        fields["extra"] = loads(check.text("extra", fields["extra"]), where)
    return fields
