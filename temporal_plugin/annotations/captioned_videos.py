"""Tables that list a video's times beside its sentences: `{video: {times: [], sentences: []}}`.

Charades-STA (JSON), ActivityNet-Captions, TACoS and TimeLens-Bench share this form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError, shown
from temporal_plugin.annotations.row_files import OnError, Row, json_object


def caption_rows(
    path: Path,
    on_error: OnError,
    *,
    about: Sequence[str] = ("duration",),
    times: str = "timestamps",
    sentences: str = "sentences",
) -> Iterator[Row]:
    """A row per sentence: `{"video", "index", "span", "query", **the fields of `about`}`.

    `index` counts the video's sentences from 0. A video whose record is broken goes to
    `on_error` as one row, and reading goes on if that returns.

    Raises:
        AnnotationError: the file as a whole cannot be read.
    """
    keys = (*about, times, sentences)
    table = json_object(path, f"{{video: {{{', '.join(keys)}}}, ...}}")
    number = 0
    for video, record in table.items():
        where = f"{path}: video {shown(video)}"
        try:
            pairs = _paired(record, keys)
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        known = {name: record[name] for name in about}
        for index, (span, query) in enumerate(pairs):
            row = {"video": video, "index": index, "span": span, "query": query, **known}
            yield f"{where}, sentence {index}", number, row
            number += 1


def _paired(record: Any, keys: Sequence[str]) -> list[tuple[Any, Any]]:
    missing = [key for key in keys if not isinstance(record, dict) or key not in record]
    if missing:
        raise AnnotationError(
            "missing", field=missing[0], value=record, allowed=f"an object with {', '.join(keys)}"
        )
    times, sentences = keys[-2:]
    spans = check.items(times, record[times])
    queries = check.items(sentences, record[sentences])
    if len(spans) != len(queries):
        raise AnnotationError(
            f"{len(spans)} {times} beside {len(queries)} {sentences}",
            field=times,
            value=spans,
            allowed="one per sentence",
        )
    return list(zip(spans, queries, strict=True))
