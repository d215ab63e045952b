"""TVGBench, Time-R1's test set: tvgbench.json.

A row is `{"path", "question", "answer": "start-end", "start", "end", "duration", "qsemtype",
"dataset_name", "source", "bins"}`. Where `start` and `end` are given, they are the stretch of
the original video to which `answer` and `duration` refer. That becomes the clip; whether the
files are cut already is the clip policy's question, not answered here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import below, need, rest, samples, window
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "tvgbench"
TAKEN = ("path", "question", "answer", "start", "end", "duration", "source")
NAMES = {"video": "path", "query": "question", "spans": "answer", "clip": "start"}
_ANSWER = re.compile(r"(\d{1,12}(?:\.\d{1,24})?)-(\d{1,12}(?:\.\d{1,24})?)", re.ASCII)


def read(
    path: str | Path, *, on_error: OnError, split: str = "test", strip_prefix: str = ""
) -> Iterator[Sample]:
    """One grounding sample per row, with the id `tvgbench/<n>`, rows from 0.

    The question's type (`qsemtype`) and the set it comes from (`dataset_name`) stay in `extra`.
    The paths begin with folders of Time-R1's checkout; `strip_prefix` is what to leave out of
    each where `data_folder` is another folder. A bad row goes to `on_error`, and reading goes
    on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "path", "question", "answer", "duration")
        return {
            "id": f"{SOURCE}/{number}",
            "task": "grounding",
            "video": below("path", row["path"], strip_prefix),
            "query": row["question"],
            "spans": [_span(row["answer"])],
            "clip": window(row, "start", "end"),
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
            "extra": rest(row, *TAKEN),
        }

    yield from samples(rows(Path(path), on_error), on_error, convert, NAMES)


def _span(answer: object) -> list[float]:
    match = _ANSWER.fullmatch(check.text("answer", answer))
    if match is None:
        raise AnnotationError(
            "not a span", field="answer", value=answer, allowed="start-end in seconds, as 1.5-20"
        )
    return [float(match[1]), float(match[2])]
