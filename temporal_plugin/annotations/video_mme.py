"""Video-MME: its Parquet file.

A row is `{"video_id", "duration": "short" | "medium" | "long", "domain", "sub_category", "url",
"videoID", "question_id", "task_type", "question", "options": ["A. ...", ...], "answer": "C"}`.
No such file was at hand: the fields are those that VideoMind's and lmms-eval's loaders read
(yeliudev/VideoMind, EvolvingLMMs-Lab/lmms-eval tasks/videomme).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.choice_options import letter_of, option_list
from temporal_plugin.annotations.reading import id_part, need, rest, samples, video_file
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "video_mme"
TAKEN = ("videoID", "question_id", "question", "options", "answer", "duration")


def read(
    path: str | Path, *, on_error: OnError, split: str = "test", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One multiple-choice sample per row, with the id `video_mme/<question_id>`.

    `answer` is the letter. The file's `duration` is a word and stays in `extra` as
    `duration_group`, beside domain, sub-category and task type; lengths are unknown.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, *TAKEN)
        options = option_list("options", row["options"])
        return {
            "id": f"{SOURCE}/{id_part('question_id', row['question_id'])}",
            "task": "choice",
            "video": video_file("videoID", row["videoID"], video_extension),
            "query": row["question"],
            "options": options,
            "answer": letter_of("answer", row["answer"], options),
            "source": SOURCE,
            "split": split,
            "extra": {**rest(row, *TAKEN), "duration_group": row["duration"]},
        }

    kinds = (".parquet", ".json", ".jsonl")
    yield from samples(rows(Path(path), on_error, kinds), on_error, convert, {"query": "question"})
