"""Video lengths from a file of their own or from the videos, for annotations without them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError, shown
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.strict_json import loads, read_lines, read_text
from temporal_plugin.video.length import length_seconds


def read_durations(path: Path) -> dict[str, float]:
    """`{video: seconds}` from JSON of that form or from a CSV with `id` and `length`.

    Raises:
        AnnotationError: the file has another form, or a length is no number above 0.
    """
    rows = _json_rows(path) if path.suffix == ".json" else _csv_rows(path)
    found: dict[str, float] = {}
    for video, value in rows:
        try:
            number = parse_seconds("length", value) if isinstance(value, str) else value
            length = check.duration("length", number)
            if length is None or found.setdefault(video, length) != length:
                raise AnnotationError(
                    "no single length", field="length", value=value, allowed="one number per video"
                )
        except AnnotationError as error:
            raise error.at(f"{path}: video {shown(video)}") from None
    return found


def length_of(video: str, lengths: dict[str, float], path: str | Path) -> float:
    """The length of `video` in seconds in a table that `read_durations` read from `path`.

    Raises:
        AnnotationError: the table does not have it.
    """
    if video not in lengths:
        raise AnnotationError(
            f"{path} has no length for this video",
            field="duration",
            value=video,
            remedy="add it there, or leave `durations` out",
        )
    return lengths[video]


def parse_seconds(field: str, word: str) -> float:
    """The number of seconds that `word` spells.

    Raises:
        AnnotationError: it spells no finite number.
    """
    try:
        number = float(word)
    except ValueError:
        raise AnnotationError(
            "not a number", field=field, value=word, allowed="seconds such as 12.5"
        ) from None
    return check.seconds(field, number)


def _json_rows(path: Path) -> list[tuple[str, object]]:
    table = loads(read_text(path), str(path))
    if not isinstance(table, dict):
        raise AnnotationError(
            "not an object", where=str(path), value=table, allowed="{video: seconds}"
        )
    if any(isinstance(value, str) for value in table.values()):
        raise AnnotationError("a length is a string", where=str(path), allowed="{video: seconds}")
    return list(table.items())


def _csv_rows(path: Path) -> list[tuple[str, object]]:
    table = csv.DictReader((line for _, line in read_lines(path)), restval="")
    try:
        if not {"id", "length"} <= set(table.fieldnames or ()):
            raise AnnotationError(
                "columns are missing",
                where=str(path),
                value=table.fieldnames,
                allowed="a CSV with the columns id and length (seconds)",
            )
        return [(row["id"], row["length"]) for row in table]
    except csv.Error as error:
        raise AnnotationError(f"not a CSV ({error})", where=str(path)) from None


def with_duration(sample: Sample) -> Sample:
    """The sample, its length measured where the annotations lack it (Charades-STA as text).

    Raises:
        ValueError: the video's header cannot be read.
    """
    if sample.duration is not None:
        return sample
    if sample.clip is not None:
        return replace(sample, duration=sample.clip.end_seconds - sample.clip.start_seconds)
    return replace(sample, duration=length_seconds(sample.video))
