"""Reads the sample logs of any lmms-eval run: one line per question, with `--log_samples`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from temporal_plugin.integrations.lmms_eval_logs import TaskRun, is_number

_NOT_SCORES = frozenset({"doc_id"})


@dataclasses.dataclass(frozen=True)
class Question:
    """The scores of one question.

    Attributes:
        video: the cluster of its standard errors; None where the log names none.
        scores: every metric that has a score for this question; NaN where it is no number.
        category: fields for breakdowns.
        prompt: name and fingerprint of the prompt; "" where the log does not say.
        tries: of a search task, what each of its searches counted, and its `frames`.
    """

    id: str
    video: str | None
    scores: Mapping[str, float]
    category: Mapping[str, Any]
    prompt: str
    tries: tuple[Mapping[str, float], ...] = ()


def read_questions(run: TaskRun) -> dict[str, Question]:
    """The questions of the run by id, in the order of the annotation file.

    Our tasks name each question; of others the number of the document and its hash stand for it.

    Raises:
        FileNotFoundError: the run has no sample log.
        ValueError: a line is not one of lmms-eval's, or a question is there twice.
    """
    if run.samples is None:
        raise FileNotFoundError(
            f"no sample log of {run.task} beside {run.results}: run lmms-eval with --log_samples"
        )
    # row by row, as a log with long responses is large
    found = [(row["doc_id"], _question(row)) for row in _lines(run.samples)]
    found.sort(key=lambda item: item[0])
    if len({question.id for _, question in found}) < len(found):  # the data's ids are not unique
        found = [(k, dataclasses.replace(q, id=f"{q.id} (row {k})")) for k, q in found]
    questions = {question.id: question for _, question in found}
    if len(questions) < len(found):
        raise ValueError(f"{run.samples} holds a question twice; remove the file and run again")
    return questions


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as file:  # U+2028 is no line end in JSON
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}:{number} is not JSON ({error})") from error
            if not isinstance(row, dict) or not isinstance(row.get("doc_id"), int):
                raise ValueError(f"{path}:{number} is not a line of a sample log: no doc_id")
            yield row


def _items(row: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The metrics of our tasks: each is a mapping."""
    return ((name, item) for name, item in row.items() if isinstance(item, Mapping))


def _id(row: Mapping[str, Any]) -> str:
    for _, item in _items(row):
        if isinstance(item.get("id"), str) and "score" in item:
            return item["id"]
    return f"{row['doc_id']} {str(row.get('doc_hash', ''))[:12]}".strip()


def _question(row: Mapping[str, Any]) -> Question:
    scores = {
        key: float(value)
        for key, value in row.items()
        if key not in _NOT_SCORES and is_number(value)
    }
    video, prompt, category, tries = None, "", {}, ()
    for key, item in _items(row):
        if "score" in item and "/" not in key:  # `miou/pose` is the same score once more
            scores[key] = float(item["score"]) if is_number(item["score"]) else math.nan
            video = item.get("video", video)
            if isinstance(item.get("category"), Mapping):
                category = dict(item["category"])
            if item.get("prompt"):
                prompt = f"{item['prompt']} ({item.get('prompt_fingerprint', '?')})"
            if isinstance(item.get("tries"), list):
                tries = tuple(_counts(each) for each in item["tries"])
    video = None if video is None else str(video)
    return Question(_id(row), video, scores, category, prompt, tries)


def _counts(search: Any) -> dict[str, float]:
    """The numbers of one search; what is none is left out."""
    if not isinstance(search, Mapping):
        return {}
    counters = search.get("counters")
    found = dict(counters) if isinstance(counters, Mapping) else {}
    found["frames"] = search.get("frames")
    return {str(name): float(value) for name, value in found.items() if is_number(value)}
