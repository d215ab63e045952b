"""Rows of Temporal-R1, whose true times are fractions of the video: JSON or JSON lines.

A row is `{"dataset", "video", "problem", "solution": [start / length, end / length],
"video_length"}`. `problem` is the whole prompt text of that project. No such file was at hand:
the fields are those that its own loader reads (appletea233/Temporal-R1,
verl/utils/dataset_video.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.durations import length_of, read_durations
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import id_part, need, rest, samples
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "temporal_r1"
TAKEN = ("dataset", "video", "problem", "solution", "video_length")
NAMES = {"query": "problem", "spans": "solution", "duration": "video_length"}
LARGEST_FRACTION = 1.5
"""Some spans end past their video; a fraction far above 1 is a time in seconds."""


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "",
    durations: str | Path | None = None,
) -> Iterator[Sample]:
    """One grounding sample per row, its times turned into seconds.

    Ids are `temporal_r1/<dataset>/<n>`, rows from 0; `solution` stays in `extra` as it came.
    A row without `video_length` (its Charades rows) needs a `durations` file, JSON
    `{video: seconds}` with the row's `video` as the key.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """
    lengths = read_durations(Path(durations)) if durations else {}

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "dataset", "video", "problem", "solution")
        length = check.duration("video_length", row.get("video_length"))
        if length is None and durations:
            length = length_of(check.text("video", row["video"]), lengths, durations)
        if length is None:
            raise AnnotationError(
                "a fraction of an unknown length is no time",
                field="video_length",
                allowed="seconds above 0",
                remedy="give a `durations` file",
            )
        return {
            "id": f"{SOURCE}/{id_part('dataset', row['dataset'])}/{number}",
            "task": "grounding",
            "video": row["video"],
            "query": row["problem"],
            "spans": [[fraction * length for fraction in _fractions(row["solution"])]],
            "duration": length,
            "source": SOURCE,
            "split": split,
            "extra": {**rest(row, *TAKEN), "dataset": row["dataset"], "solution": row["solution"]},
        }

    yield from samples(rows(Path(path), on_error), on_error, convert, NAMES)


def _fractions(value: object) -> tuple[float, float]:
    pair = check.number_pair("solution", value)
    if max(pair) > LARGEST_FRACTION:
        raise AnnotationError(
            "not fractions of the length",
            field="solution",
            value=value,
            allowed="[start, end], each divided by video_length",
        )
    return pair
