"""NExT-GQA: multiple choice, with the moments that prove the answer.

CSV, as published: val.csv and test.csv with the columns `video_id, question, answer (in words),
qid, type, a0..a4`, and beside each gsub_{val,test}.json, `{video_id: {"duration", "fps",
"location": {qid: [[start, end], ...]}}}`, and map_vid_vidorID.json, `{video_id: path without
extension}`. Fields checked against the files of doc-doc/NExT-GQA.
JSON, as handed round with VideoChat-R1: rows `{"id", "video", "question", "options": ["(A) ...",
...], "duration", "glue": [[start, end], ...], "type", "answer": "(C)"}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.choice_options import letter_of, option_list
from temporal_plugin.annotations.errors import AnnotationError, NoLabelError
from temporal_plugin.annotations.reading import id_part, need, rest, samples
from temporal_plugin.annotations.row_files import OnError, json_object, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "nextgqa"
OPTION_COLUMNS = ("a0", "a1", "a2", "a3", "a4")
CSV_TAKEN = ("video_id", "question", "answer", "qid", *OPTION_COLUMNS)
JSON_TAKEN = ("id", "video", "question", "options", "duration", "glue", "answer")
VIDEO_MAP = "map_vid_vidorID.json"


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "",
    spans: str | Path | None = None,
    video_map: str | Path | None = None,
    video_extension: str = ".mp4",
    early_seconds: float = 0.0,
) -> Iterator[Sample]:
    """One grounded choice per question, with the id `nextgqa/<video>_<qid>` in both forms.

    `answer` is the letter. The question type (CW, TN, ...) stays in `extra`.

    Args:
        path: the CSV or the JSON.
        on_error: gets each bad row's error; reading goes on if it returns.
        split: written into each sample.
        spans: CSV only: the moments; by default gsub_<name of the CSV>.json beside it.
        video_map: CSV only: the paths of the videos; by default map_vid_vidorID.json beside it.
        video_extension: CSV only: of the video files.
        early_seconds: a moment that starts before 0 by no more than this starts at 0, and
            `extra["spans_as_published"]` holds it as it was: 36 of the test file's are rounded
            to -0.1 or -0.2. By default such rows are errors, as all that start before 0.
    """
    path = Path(path)
    kinds = (".csv", ".json", ".jsonl")
    if path.suffix == ".csv":
        moments = json_object(
            Path(spans or path.with_name(f"gsub_{path.stem}.json")),
            "{video: {duration, location: {qid: [[start, end], ...]}}}",
        )
        paths = json_object(Path(video_map or path.with_name(VIDEO_MAP)), "{video_id: path}")

    def convert_csv(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, *CSV_TAKEN)
        video, qid = row["video_id"], row["qid"]
        options = option_list("a0", [row[name] for name in OPTION_COLUMNS])
        duration, places = _moments(moments, video, qid)
        return {
            "id": f"{SOURCE}/{video}_{qid}",
            "task": "grounded_choice",
            "video": _path(paths, video) + video_extension,
            "query": row["question"],
            "options": options,
            "answer": letter_of("answer", row["answer"], options),
            "duration": duration,
            "source": SOURCE,
            "split": split,
            **_moved(places, early_seconds, rest(row, *CSV_TAKEN)),
        }

    def convert_json(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, *JSON_TAKEN)
        options = option_list("options", row["options"])
        return {
            "id": f"{SOURCE}/{id_part('id', row['id'])}",
            "task": "grounded_choice",
            "video": row["video"],
            "query": row["question"],
            "options": options,
            "answer": letter_of("answer", row["answer"], options),
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
            **_moved(row["glue"], early_seconds, rest(row, *JSON_TAKEN)),
        }

    convert = convert_csv if path.suffix == ".csv" else convert_json
    names = {"query": "question", "spans": "location" if path.suffix == ".csv" else "glue"}
    yield from samples(rows(path, on_error, kinds), on_error, convert, names)


def _moments(table: dict[str, Any], video: str, qid: str) -> tuple[Any, Any]:
    """The duration and the true spans of a question of the CSV."""
    record = table.get(video)
    if not isinstance(record, dict) or not isinstance(record.get("location"), dict):
        raise NoLabelError("location")
    if qid not in record["location"]:
        raise NoLabelError("location")
    return record.get("duration"), record["location"][qid]


def _moved(places: Any, early_seconds: float, extra: dict[str, Any]) -> dict[str, Any]:
    """The fields `spans` and `extra`, starts just before 0 moved there."""
    if early_seconds <= 0:
        return {"spans": places, "extra": extra}
    pairs = [check.number_pair("spans", pair) for pair in check.items("spans", places)]
    spans = [[0.0 if -early_seconds <= start < 0 else start, end] for start, end in pairs]
    if any(new[0] != old[0] for new, old in zip(spans, pairs, strict=True)):
        extra = {**extra, "spans_as_published": places}
    return {"spans": spans, "extra": extra}


def _path(paths: dict[str, Any], video: str) -> str:
    if video not in paths:
        raise AnnotationError(
            "the video map does not have this video",
            field="video_id",
            value=video,
            remedy=f"give its `video_map`, {VIDEO_MAP}",
        )
    return check.text("video_map", paths[video])
