"""EgoSchema: its official JSON with the public answers, or the rows of lmms-lab/egoschema.

Official: questions.json, `[{"q_uid", "question", "option 0" .. "option 4", ...}]`, and
subset_answers.json, `{q_uid: index}`, for 500 of the 5,031 questions; the others' answers are
kept back. Parquet: `{"question_idx", "question", "video_idx", "option": ["A. ...", ...],
"answer": "3" or null}`. Of these only subset_answers.json was at hand: the fields are those of
the dataset's README (egoschema/EgoSchema) and of lmms-eval's loader (tasks/egoschema).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.choice_options import letter_at, option_list
from temporal_plugin.annotations.errors import AnnotationError, NoLabelError
from temporal_plugin.annotations.reading import id_part, need, rest, samples, video_file
from temporal_plugin.annotations.row_files import OnError, json_object, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "egoschema"
SECONDS = 180.0
"""Every clip of EgoSchema is three minutes long."""
OPTION_FIELDS = tuple(f"option {index}" for index in range(5))
OFFICIAL_TAKEN = ("q_uid", "question", *OPTION_FIELDS)
PARQUET_TAKEN = ("question_idx", "question", "video_idx", "option", "answer")


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "test",
    answers: str | Path | None = None,
    video_extension: str = ".mp4",
) -> Iterator[Sample]:
    """One multiple-choice sample per question, with the id `egoschema/<uid>`.

    `answer` is the letter. Questions whose answer is not public are `no_label` errors.

    Args:
        path: questions.json or the Parquet file.
        on_error: gets each bad row's error; reading goes on if it returns.
        split: written into each sample.
        answers: JSON only: `{q_uid: index}`; by default subset_answers.json beside `path`.
        video_extension: of the video files.
    """
    path = Path(path)
    official = path.suffix != ".parquet"
    known: Mapping[str, Any] = {}
    if official:
        where = Path(answers or path.with_name("subset_answers.json"))
        known = json_object(where, "{q_uid: index from 0}")

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        uid, words, index, extra = _official(row, known) if official else _parquet(row)
        options = option_list("option", words)
        return {
            "id": f"{SOURCE}/{uid}",
            "task": "choice",
            "video": video_file("video", uid, video_extension),
            "query": row["question"],
            "options": options,
            "answer": letter_at("answer", index, options),
            "duration": SECONDS,
            "source": SOURCE,
            "split": split,
            "extra": extra,
        }

    kinds = (".json", ".jsonl", ".parquet")
    yield from samples(rows(path, on_error, kinds), on_error, convert, {"query": "question"})


def _official(row: dict[str, Any], known: Mapping[str, Any]) -> tuple[str, Any, Any, dict]:
    need(row, *OFFICIAL_TAKEN)
    uid = id_part("q_uid", row["q_uid"])
    if uid not in known:
        raise NoLabelError("answer")
    return uid, [row[name] for name in OPTION_FIELDS], known[uid], rest(row, *OFFICIAL_TAKEN)


def _parquet(row: dict[str, Any]) -> tuple[str, Any, Any, dict]:
    need(row, "question", "video_idx", "option")
    answer = row.get("answer")
    if answer in (None, ""):
        raise NoLabelError("answer")
    if not isinstance(answer, str) or answer not in "01234":
        raise AnnotationError(
            "not the index of an option", field="answer", value=answer, allowed='"0" to "4"'
        )
    uid = id_part("video_idx", row["video_idx"])
    return uid, row["option"], int(answer), rest(row, *PARQUET_TAKEN)
