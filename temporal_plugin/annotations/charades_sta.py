"""Charades-STA, in both forms in which it is handed round.

JSON: `{video: {"duration": s, "timestamps": [[start, end], ...], "sentences": [...]}}`.
Text, as its authors published it: a line `VIDEO start end##sentence` each. That form has no
durations; give a `durations` file (JSON `{video: seconds}`, or the CSV of Charades with its
columns `id` and `length`), or they stay unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.durations import parse_seconds, read_durations
from temporal_plugin.annotations.errors import AnnotationError, shown
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.strict_json import loads, read_lines, read_text

SOURCE = "charades_sta"
KEYS = ("duration", "timestamps", "sentences")
FIELD_NAMES = {"spans": "timestamps", "query": "sentences"}
"""What our fields are called in the file, for errors."""

OnError = Callable[[AnnotationError], None]


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "",
    video_extension: str = ".mp4",
    durations: str | Path | None = None,
) -> Iterator[Sample]:
    """One grounding sample per sentence, with the id `charades_sta/<video>/<n>`.

    `n` counts the video's sentences in file order from 0, dropped ones included.
    A row that cannot become a sample goes to `on_error`, and reading goes on if that returns.
    """
    path = Path(path)
    known_durations = read_durations(Path(durations)) if durations else {}
    if path.suffix == ".json":
        rows = _json_rows(path, on_error)
    elif path.suffix == ".txt":
        rows = _text_rows(path, on_error)
    else:
        raise AnnotationError(
            "unknown kind of Charades-STA file",
            where=str(path),
            value=path.suffix,
            allowed=".json ({video: {duration, ...}}) or .txt (VIDEO start end##sentence)",
        )
    for where, video, index, row in rows:
        try:
            if durations:
                row["duration"] = _look_up(known_durations, video, durations)
            yield Sample.from_dict(
                {
                    **row,
                    "id": f"{SOURCE}/{video}/{index}",
                    "task": "grounding",
                    "video": _video_id(video) + video_extension,
                    "source": SOURCE,
                    "split": split,
                },
                where=where,
            )
        except AnnotationError as error:
            error.field = FIELD_NAMES.get(error.field, error.field)
            on_error(error.at(where))


def _look_up(table: dict[str, float], video: str, path: str | Path) -> float:
    if video not in table:
        raise AnnotationError(
            f"{path} has no length for this video",
            field="duration",
            value=video,
            remedy="add it there, or leave `durations` out",
        )
    return table[video]


def _video_id(video: str) -> str:
    if "/" in video or "\\" in video:
        raise AnnotationError(
            "not a video id",
            field="video",
            value=video,
            allowed="a file name without folder and extension",
        )
    return check.text("video", video)


def _json_rows(path: Path, on_error: OnError) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    table = loads(read_text(path), str(path))
    if not isinstance(table, dict) or not table:
        raise AnnotationError(
            "not Charades-STA", where=str(path), value=table, allowed="{video: {...}, ...}"
        )
    for video, record in table.items():
        where = f"{path}: video {shown(video)}"
        try:
            pairs = _paired(record)
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        for index, (timestamp, sentence) in enumerate(pairs):
            row = {"query": sentence, "spans": [timestamp], "duration": record["duration"]}
            yield f"{where}, sentence {index}", video, index, row


def _paired(record: Any) -> list[tuple[Any, Any]]:
    missing = [key for key in KEYS if not isinstance(record, dict) or key not in record]
    if missing:
        raise AnnotationError(
            "missing", field=missing[0], value=record, allowed=f"an object with {', '.join(KEYS)}"
        )
    timestamps = check.items("timestamps", record["timestamps"])
    sentences = check.items("sentences", record["sentences"])
    if len(timestamps) != len(sentences):
        raise AnnotationError(
            f"{len(timestamps)} timestamps beside {len(sentences)} sentences",
            field="timestamps",
            value=timestamps,
            allowed="one per sentence",
        )
    return list(zip(timestamps, sentences, strict=True))


def _text_rows(path: Path, on_error: OnError) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    seen: Counter[str] = Counter()
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        head, mark, sentence = line.partition("##")
        words = head.split()
        try:
            if not mark or len(words) != 3:
                raise AnnotationError(
                    "not a Charades-STA line", value=line, allowed="VIDEO start end##sentence"
                )
            index = seen[words[0]]
            seen[words[0]] += 1
            span = [parse_seconds("start", words[1]), parse_seconds("end", words[2])]
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        yield where, words[0], index, {"query": sentence.strip(), "spans": [span]}
