"""LongVideoHaystack: questions about hours of video that a few frames answer (Parquet).

A row is `{"video_id", "vclip_id", "question", "options": {"A": ..., ..., "E": ...}, "answer",
"frame_indexes_video": [...], "frame_indexes_vclip": [...], "video_metadata": {"frame_rate",
"video_duration", "vclip_interval_in_video", ...}}`. No such file was at hand: the fields are
those of the dataset's card (huggingface.co/datasets/LVHaystack/LongVideoHaystack).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.choice_options import LETTERS, letter_of, option_list
from temporal_plugin.annotations.errors import AnnotationError, NoLabelError
from temporal_plugin.annotations.reading import need, rest, sample_id, samples, video_file
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "long_video_haystack"
TAKEN = ("video_id", "question", "options", "answer")


def read(
    path: str | Path, *, on_error: OnError, split: str = "", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One multiple-choice sample per row about the whole video; `answer` is the letter.

    Ids are `long_video_haystack/<split>/<n>`, rows from 0. `extra["keyframe_seconds"]` holds
    the times of the frames that answer the question, in seconds of the video
    (`frame_indexes_video` / `frame_rate`); they are instants, so `spans` stays empty.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "video_id", "question", "options", "frame_indexes_video", "video_metadata")
        if row.get("answer") is None:
            raise NoLabelError("answer")
        options = option_list("options", _in_order(row["options"]))
        about = row["video_metadata"]
        if not isinstance(about, dict):
            raise AnnotationError("not an object", field="video_metadata", value=about)
        need(about, "frame_rate", "video_duration")
        times = _times(row["frame_indexes_video"], about["frame_rate"])
        return {
            "id": sample_id(SOURCE, split, str(number)),
            "task": "choice",
            "video": video_file("video_id", row["video_id"], video_extension),
            "query": row["question"],
            "options": options,
            "answer": letter_of("answer", row["answer"], options),
            "duration": about["video_duration"],
            "source": SOURCE,
            "split": split,
            "extra": {**rest(row, *TAKEN), "keyframe_seconds": times},
        }

    names = {"query": "question", "duration": "video_duration"}
    kinds = (".parquet", ".json", ".jsonl")
    yield from samples(rows(Path(path), on_error, kinds), on_error, convert, names)


def _in_order(options: object) -> list[Any]:
    """`{"A": first, "B": second, ...}` as a list; trailing letters may be null."""
    if not isinstance(options, dict):
        raise AnnotationError(
            "not an object", field="options", value=options, allowed='{"A": words, "B": words, ...}'
        )
    given = [options.get(letter) for letter in LETTERS[: len(options)]]
    while given and given[-1] is None:
        given.pop()
    return given


def _times(indexes: object, rate: object) -> list[float]:
    frames_per_second = check.duration("frame_rate", rate)
    if frames_per_second is None:
        raise AnnotationError("missing", field="frame_rate", allowed="frames per second")
    return [
        check.seconds("frame_indexes_video", index) / frames_per_second
        for index in check.items("frame_indexes_video", indexes)
    ]
