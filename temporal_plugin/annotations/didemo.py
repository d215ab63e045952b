"""DiDeMo, as published: {train,val,test}_data.json.

A row is `{"annotation_id", "video", "description", "times": [[first, last], ...],
"num_segments", "dl_link"}`. `times` holds one pair per annotator: the first and the last of the
segments of five seconds that show the event, from 0. Fields checked against the files of
LisaAnne/LocalizingMoments.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.durations import length_of, read_durations
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import id_part, need, rest, samples, video_file
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "didemo"
SEGMENT_SECONDS = 5
TAKEN = ("annotation_id", "video", "description")
NAMES = {"query": "description", "spans": "times"}


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "",
    video_extension: str | None = None,
    durations: str | Path | None = None,
) -> Iterator[Sample]:
    """One grounding sample per row, with the id `didemo/<annotation_id>`.

    The span goes from the mean first segment to the end of the mean last one, rounded to whole
    seconds as VideoMind and its successors do (without their random shift); all annotators'
    `times` stay in `extra`. The file has no durations: give a `durations` file, JSON
    `{video: seconds}` with the name as in the row. With `video_extension` the ending of each
    name (.mov, .3gp, ...) is replaced by it.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """
    lengths = read_durations(Path(durations)) if durations else {}

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "annotation_id", "video", "description", "times")
        name = check.text("video", row["video"])
        return {
            "id": f"{SOURCE}/{id_part('annotation_id', row['annotation_id'])}",
            "task": "grounding",
            "video": video_file("video", _stem(name, video_extension), video_extension or ""),
            "query": row["description"],
            "spans": [_agreed(row["times"])],
            "duration": length_of(name, lengths, durations) if durations else None,
            "source": SOURCE,
            "split": split,
            "extra": rest(row, *TAKEN),
        }

    yield from samples(rows(Path(path), on_error), on_error, convert, NAMES)


def _stem(name: str, extension: str | None) -> str:
    return name if extension is None else PurePath(name).stem


def _agreed(times: object) -> list[float]:
    pairs = [check.number_pair("times", pair) for pair in check.items("times", times)]
    if not pairs:
        raise AnnotationError(
            "no annotator", field="times", value=times, allowed="[[first, last], ...]"
        )
    firsts, lasts = zip(*pairs, strict=True)
    first, last = sum(firsts) / len(pairs), sum(lasts) / len(pairs)
    return [round(first * SEGMENT_SECONDS), round((last + 1) * SEGMENT_SECONDS)]
