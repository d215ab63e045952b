"""TimeSearch-R's rows: questions about long videos, and SFT traces in the same form (JSON lines).

A row is `{"id", "video", "question", "duration", "type", "target": {"answer"}, "meta": JSON as a
text, "gt_frame_index": [...], "messages": [...]}`; the last four may be absent. The published
loader takes a row without `type` for a multiple choice, whose options stand at the end of the
question, a line each ("A. words" or "(A) words"). No such file was at hand: the fields are those
that the authors' loaders and evaluation scripts read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.choice_options import LETTERS, letter_of, option_list
from temporal_plugin.annotations.errors import AnnotationError, NoLabelError
from temporal_plugin.annotations.reading import id_part, need, rest, samples
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "timesearch_r"
CHOICE = "multiple_choice"
TAKEN = ("id", "video", "question", "duration", "type", "target", "gt_frame_index")
_OPTION = re.compile(r"[ \t]{0,8}\(?([A-Z])[).:][ \t]{0,8}(\S.{0,2000})")


def read(path: str | Path, *, on_error: OnError, split: str = "train") -> Iterator[Sample]:
    """One choice or open sample per row, with the id `timesearch_r/<id>` (or its number).

    For a choice `options` are taken off the end of the question and `answer` is the letter.
    `extra["position"]` holds `gt_frame_index`, the numbers of the true frames in the file. A bad
    row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "video", "question", "target")
        answer = _answer(row["target"])
        fields = {
            "id": f"{SOURCE}/{id_part('id', row.get('id', number))}",
            "video": row["video"],
            "duration": row.get("duration"),
            "source": SOURCE,
            "split": split,
            "extra": {**rest(row, *TAKEN), **_frames(row)},
        }
        if row.get("type") not in (None, CHOICE):
            return {**fields, "task": "open", "query": row["question"], "answer": answer}
        query, options = split_options(check.text("question", row["question"]))
        options = option_list("question", options)
        letter = letter_of("target", answer, options)
        return {**fields, "task": "choice", "query": query, "options": options, "answer": letter}

    yield from samples(rows(Path(path), on_error), on_error, convert, {"query": "question"})


def split_options(text: str) -> tuple[str, list[str]]:
    """A question and the options at its end, lines labelled A, B, C and so on without a gap."""
    lines = text.rstrip().split("\n")
    found: list[tuple[str, str]] = []
    for line in reversed(lines):
        match = _OPTION.fullmatch(line.rstrip())
        if match is None:
            break
        found.insert(0, (match[1], match[2]))
        if match[1] == "A":
            break
    letters = "".join(letter for letter, _ in found)
    if not letters or letters != LETTERS[: len(letters)]:
        return text, []
    return "\n".join(lines[: -len(found)]).strip(), [words for _, words in found]


def _answer(target: object) -> str:
    if not isinstance(target, dict):
        raise AnnotationError(
            "not an object", field="target", value=target, allowed='{"answer": a text}'
        )
    if target.get("answer") is None:
        raise NoLabelError("target.answer")
    return check.text("target.answer", target["answer"])


def _frames(row: dict[str, Any]) -> dict[str, list[int]]:
    """The numbers of the true frames, where the row has any."""
    if row.get("gt_frame_index") is None:
        return {}
    numbers = check.items("gt_frame_index", row["gt_frame_index"])
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise AnnotationError(
                "not the number of a frame",
                field="gt_frame_index",
                value=number,
                allowed="integers from 0",
            )
    return {"position": list(numbers)}
