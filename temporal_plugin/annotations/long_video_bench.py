"""LongVideoBench: lvb_val.json, or the same rows as Parquet.

A row is `{"id", "video_id", "video_path", "question", "candidates": [...], "correct_choice":
index, "duration", "duration_group", "question_category", "topic_category", "level", "position",
"subtitle_path", ...}`; the Parquet form has `option0` .. `option4` in place of `candidates`.
lvb_test_wo_gt.json has no `correct_choice`: each of its rows is a `no_label` error. No such file
was at hand: the fields are those that its authors' loader and lmms-eval read
(longvideobench/LongVideoBench, EvolvingLMMs-Lab/lmms-eval tasks/longvideobench).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.choice_options import letter_at, option_list
from temporal_plugin.annotations.errors import NoLabelError
from temporal_plugin.annotations.reading import id_part, need, rest, samples
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "long_video_bench"
COLUMNS = tuple(f"option{index}" for index in range(5))
TAKEN = ("id", "video_path", "question", "candidates", "correct_choice", "duration", *COLUMNS)
NAMES = {"video": "video_path", "query": "question"}
ABSENT = ("N/A", "", None)
"""What the Parquet form holds for options that a question does not have."""


def read(path: str | Path, *, on_error: OnError, split: str = "test") -> Iterator[Sample]:
    """One multiple-choice sample per row, with the id `long_video_bench/<id>`.

    `answer` is the letter. The subtitles' path and the categories stay in `extra`.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "id", "video_path", "question", "duration")
        if row.get("correct_choice") in (None, -1):
            raise NoLabelError("correct_choice")
        candidates = row.get("candidates")
        if candidates is None:
            candidates = [row.get(name) for name in COLUMNS if row.get(name) not in ABSENT]
        options = option_list("candidates", candidates)
        return {
            "id": f"{SOURCE}/{id_part('id', row['id'])}",
            "task": "choice",
            "video": row["video_path"],
            "query": row["question"],
            "options": options,
            "answer": letter_at("correct_choice", row["correct_choice"], options),
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
            "extra": rest(row, *TAKEN),
        }

    kinds = (".json", ".jsonl", ".parquet")
    yield from samples(rows(Path(path), on_error, kinds), on_error, convert, NAMES)
