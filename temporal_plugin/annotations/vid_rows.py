"""Rows `{"vid", "duration", "query", <spans>}`: one query about one video in each JSON line.

QVHighlights began this form; TACoS, COSMO-Cap and InternVid-VTime are handed round in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import NoLabelError
from temporal_plugin.annotations.reading import (
    id_part,
    need,
    rest,
    sample_id,
    samples,
    video_file,
)
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

TAKEN = ("vid", "duration", "query")


def vid_samples(
    path: Path,
    on_error: OnError,
    *,
    source: str,
    split: str,
    video_extension: str,
    spans: str,
    single: bool = False,
) -> Iterator[Sample]:
    """One grounding sample per row, with the id `<source>/<qid>`.

    Rows without a `qid` are numbered in file order from 0, after their `split`.

    Args:
        spans: the field of the true spans.
        single: that field holds one [start, end] and not a list of them.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, *TAKEN)
        if row.get(spans) is None:
            raise NoLabelError(spans)
        qid = row.get("qid")
        parts = (split, str(number)) if qid is None else (id_part("qid", qid),)
        return {
            "id": sample_id(source, *parts),
            "task": "grounding",
            "video": video_file("vid", row["vid"], video_extension),
            "query": row["query"],
            "spans": [row[spans]] if single else check.items(spans, row[spans]),
            "duration": row["duration"],
            "source": source,
            "split": split,
            "extra": rest(row, *TAKEN, spans),
        }

    names = {"spans": spans, "video": "vid"}
    yield from samples(rows(path, on_error), on_error, convert, names)
