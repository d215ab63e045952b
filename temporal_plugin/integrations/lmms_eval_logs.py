"""Reads the result folders of any lmms-eval run, of our tasks and of upstream's own.

`<date>_results.json` holds means and settings; `lmms_eval_questions` reads the sample logs beside
it. What is not a number is left out by name. lmms-eval itself is not needed.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

RESULTS = "_results.json"

Score = tuple[float, float | None]
"""A mean and its standard error, None where there is none."""


@dataclasses.dataclass(frozen=True)
class TaskRun:
    """One task of one run.

    Attributes:
        model: what the command named, a folder or a model's name; "" where it named none.
        date: as in the file's name, so that text order is order of time.
        samples: the sample log; None without one.
        questions, available: questions asked, and questions that the task has; None if unknown.
        metrics: value and standard error (clustered where the run gives it) by name.
        parts: of our tasks, the same by the value of a category (`miou/pose` there); "questions"
            is how many it has.
        left_out: metrics that are not finite numbers.
        is_ours: the task, or all tasks of the group, are of this package: shares in [0, 1].
        task_config, run_config: what the results file says of them.
    """

    task: str
    model: str
    date: str
    results: Path
    samples: Path | None
    questions: int | None
    available: int | None
    metrics: Mapping[str, Score]
    parts: Mapping[str, Mapping[str, Score]]
    left_out: tuple[str, ...]
    is_ours: bool
    task_config: Mapping[str, Any]
    run_config: Mapping[str, Any]
    version: str


def find_runs(path: Path) -> list[TaskRun]:
    """The tasks of a results file, or of all below a folder, in the order of their names.

    Of several results of one task in one folder (one model) the newest counts.

    Raises:
        FileNotFoundError: there is no results file.
        ValueError: a results file is not one of lmms-eval, or none holds a task.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist; name the folder that lmms-eval got as --output_path"
        )
    files = [path] if path.is_file() else sorted(path.rglob(f"*{RESULTS}"))
    if not files:
        raise FileNotFoundError(
            f"no *{RESULTS} below {path}: lmms-eval had no --output_path or stopped with an error "
            "(it exits with 0 even then); look at its output"
        )
    newest: dict[tuple[Path, str], TaskRun] = {}
    for file in sorted(files, key=lambda file: file.name):
        for run in read_file(file):
            older = newest.get((file.parent, run.task))
            if older is not None:
                logger.warning(
                    f"{run.task}: {older.results} is older than {run.results.name} and not shown; "
                    "name the file itself to see it"
                )
            newest[file.parent, run.task] = run
    if not newest:
        raise ValueError(f"{path}: no task in it has a metric that is a number")
    return sorted(newest.values(), key=lambda run: (run.task, run.results))


def read_file(path: Path) -> list[TaskRun]:
    """Every task of one results file that has at least one number.

    Raises:
        ValueError: the file is not JSON, or has no "results".
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tables = content["results"]
        tasks = [(name, table) for name, table in tables.items() if isinstance(table, Mapping)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a results file of lmms-eval ({type(error).__name__}: {error})"
        ) from error
    siblings = {file.name: file for file in path.parent.iterdir()}
    date = path.name.removesuffix(RESULTS)
    runs = []
    for task, table in tasks:
        metrics, left_out = _metrics(table)
        if not metrics:
            logger.info(f"{path}: {task} has no metric that is a number")
            continue
        is_ours = _is_ours(content, task)
        metrics, parts = _apart(metrics) if is_ours else (metrics, {})
        counts = _mapping(_mapping(content, "n-samples"), task)
        runs.append(
            TaskRun(
                task=task,
                model=str(content.get("model_name") or ""),
                date=date,
                results=path,
                samples=siblings.get(f"{date}_samples_{task}.jsonl"),
                questions=_count(counts.get("effective")),
                available=_count(counts.get("original")),
                metrics=metrics,
                parts=parts,
                left_out=left_out,
                is_ours=is_ours,
                task_config=_mapping(_mapping(content, "configs"), task),
                run_config=_mapping(content, "config"),
                version=str(_mapping(content, "versions").get(task, "")),
            )
        )
    return runs


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _count(value: Any) -> int | None:
    return int(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    """True for a finite int or float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_ours(content: Mapping[str, Any], task: str, depth: int = 0) -> bool:
    members = _mapping(content, "group_subtasks").get(task)
    if isinstance(members, list) and members:
        return depth < 8 and all(_is_ours(content, str(name), depth + 1) for name in members)
    data = _mapping(_mapping(_mapping(content, "configs"), task), "dataset_kwargs")
    return {"format", "annotations"} <= data.keys()


def _apart(metrics: Mapping[str, Score]) -> tuple[dict[str, Score], dict[str, dict[str, Score]]]:
    """The metrics of all questions, and those of each category."""
    parts: dict[str, dict[str, Score]] = {}
    for name, score in metrics.items():
        metric, slash, value = name.partition("/")
        if slash:
            parts.setdefault(value, {})[metric] = score
    return {name: score for name, score in metrics.items() if "/" not in name}, parts


def _metrics(table: Mapping[str, Any]) -> tuple[dict[str, Score], tuple[str, ...]]:
    """Values with standard errors from keys such as `miou,none` and `miou_stderr,none`."""
    values: dict[str, float] = {}
    errors: dict[tuple[str, str], float] = {}
    left_out = []
    for key, value in table.items():
        name, comma, filtered = key.partition(",")
        if not comma:  # "alias" and the like
            continue
        filtered = "" if filtered == "none" else f" ({filtered})"
        metric, mark, kind = name.partition("_stderr")
        if mark and kind in ("", "_clt", "_clustered"):
            if is_number(value):
                errors[metric + filtered, kind] = float(value)
        elif is_number(value):
            values[name + filtered] = float(value)
        else:
            left_out.append(name + filtered)
    best = {
        name: next(
            (errors[name, kind] for kind in ("_clustered", "_clt", "") if (name, kind) in errors),
            None,
        )
        for name in values
    }
    return {name: (value, best[name]) for name, value in values.items()}, tuple(left_out)
