"""TempCompass, as published: questions/{multi-choice,yes_no,caption_matching,captioning}.json.

`{video: {aspect: [{"question", "answer"}, ...]}}`, the options inside the question's text, a
line each. Fields and line forms checked against the files of llyx97/TempCompass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.choice_options import LETTERS, letter_of, option_list
from temporal_plugin.annotations.errors import AnnotationError, shown
from temporal_plugin.annotations.reading import need, samples, video_file
from temporal_plugin.annotations.row_files import OnError, Row, json_object
from temporal_plugin.annotations.sample import Sample

SOURCE = "tempcompass"
SUBTASKS = ("multi-choice", "yes_no", "caption_matching", "captioning")
YES_NO = ("yes", "no")
_CAPTION = re.compile(r"\s*\w+ [A-Z0-9]:\s*(.*)")
"""A line such as "Option 1: ..." or "Sentence B: ..."."""


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "test",
    subtask: str | None = None,
    video_extension: str = ".mp4",
) -> Iterator[Sample]:
    """One sample per question, with the id `tempcompass/<subtask>/<video>/<aspect>/<n>`.

    multi-choice and caption_matching become choices without the labels that the lines carry,
    yes_no a choice between "yes" and "no", captioning an open question; `answer` is the
    letter, for captioning the text as it came. The aspect (action, speed, ...) stays in `extra`.
    Lengths are unknown. A bad row goes to `on_error`, and reading goes on if that returns.

    `subtask` is one of `SUBTASKS`; by default the name of the file.
    """
    path = Path(path)
    subtask = path.stem if subtask is None else subtask
    if subtask not in SUBTASKS:
        raise AnnotationError(
            "no subtask of TempCompass",
            where=str(path),
            field="subtask",
            value=subtask,
            allowed=", ".join(SUBTASKS),
            remedy="give `subtask`, or keep the file's published name",
        )

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "question", "answer")
        question = check.text("question", row["question"])
        return {
            "id": f"{SOURCE}/{subtask}/{row['video']}/{row['aspect']}/{row['index']}",
            "video": video_file("video", row["video"], video_extension),
            "source": SOURCE,
            "split": split,
            "extra": {"subtask": subtask, "aspect": row["aspect"]},
            **_question(subtask, question, row["answer"]),
        }

    yield from samples(_rows(path, on_error), on_error, convert, {"query": "question"})


def _rows(path: Path, on_error: OnError) -> Iterator[Row]:
    number = 0
    for video, aspects in json_object(path, "{video: {aspect: [{question, answer}]}}").items():
        where = f"{path}: video {shown(video)}"
        try:
            if not isinstance(aspects, dict):
                raise AnnotationError("not an object", value=aspects, allowed="{aspect: [...]}")
            lists = {name: check.items(name, value) for name, value in aspects.items()}
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        for aspect, questions in lists.items():
            for index, row in enumerate(questions):
                place = {"video": video, "aspect": aspect, "index": index}
                known = {**row, **place} if isinstance(row, dict) else row
                yield f"{where}, {aspect} {index}", number, known
                number += 1


def _question(subtask: str, question: str, answer: object) -> dict[str, Any]:
    if subtask == "captioning":
        return {"task": "open", "query": question, "answer": answer}
    if subtask == "yes_no":
        options = list(YES_NO)
        letter = LETTERS[options.index(answer)] if answer in options else None
        if letter is None:
            raise AnnotationError(
                "neither yes nor no", field="answer", value=answer, allowed="yes, no"
            )
        return {"task": "choice", "query": question, "options": options, "answer": letter}
    query, *lines = question.split("\n")
    truth = check.text("answer", answer)
    if subtask == "caption_matching":
        lines, truth = [_caption(line) for line in lines], _caption(truth)
    options = option_list("question", lines)
    letter = letter_of("answer", truth, options)
    return {"task": "choice", "query": query, "options": options, "answer": letter}


def _caption(line: str) -> str:
    match = _CAPTION.fullmatch(line)
    if match is None:
        raise AnnotationError(
            "an option without its label",
            field="question",
            value=line,
            allowed='lines such as "Option 1: words" or "Sentence A: words"',
        )
    return match[1]
