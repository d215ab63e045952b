"""The evaluations that a report shows: which files, under which names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from temporal_plugin.report.published import Benchmark, benchmark_of

if TYPE_CHECKING:
    from temporal_plugin.integrations.lmms_eval_logs import TaskRun
    from temporal_plugin.integrations.lmms_eval_questions import Question


@dataclasses.dataclass(frozen=True)
class Entry:
    """One task of one run, and the name it goes by.

    Attributes:
        benchmark: None where the task's name is of none that is known.
        questions: by id; None where the run has no sample log.
    """

    label: str
    run: TaskRun
    benchmark: Benchmark | None
    questions: Mapping[str, Question] | None

    @property
    def base_task(self) -> str:
        """The task's name without its style."""
        return self.run.task.removesuffix("_think")

    @property
    def group(self) -> str:
        """Entries of one group stand in one table."""
        whole = self.benchmark is not None and not self.benchmark.split
        return self.benchmark.name if whole else self.base_task


def read_entries(arguments: Sequence[str]) -> list[Entry]:
    """The evaluations named on the command line, in that order.

    Args:
        arguments: results folders or files; `NAME=PATH` gives a run its name.

    Raises:
        FileNotFoundError, ValueError: as `lmms_eval_logs.find_runs` and `read_questions`; or a
            file is named twice.
    """
    from temporal_plugin.integrations.lmms_eval_logs import find_runs
    from temporal_plugin.integrations.lmms_eval_questions import read_questions

    found: list[tuple[str, Path, TaskRun]] = []
    for argument in arguments:
        name, path = _name_and_path(argument)
        found += [(name, path, run) for run in find_runs(path)]
    twice = [key for key, n in Counter((r.results, r.task) for _, _, r in found).items() if n > 1]
    if twice:
        raise ValueError(f"{twice[0][0]} is named twice; name each result once")
    labels = _labels(found)
    return [
        Entry(
            label,
            run,
            benchmark_of(run.task, run.task_config.get("metadata")),
            None if run.samples is None else read_questions(run),
        )
        for label, (_, _, run) in zip(labels, found, strict=True)
    ]


def _name_and_path(argument: str) -> tuple[str, Path]:
    name, equals, rest = argument.partition("=")
    if equals and name and rest and not Path(argument).exists():
        return name, Path(rest)
    return "", Path(argument)


def _labels(found: Sequence[tuple[str, Path, TaskRun]]) -> list[str]:
    """The given name, else the model's; the folder and the date where that names two runs."""
    attempts: list[Callable[[str, Path, TaskRun], str]] = [
        lambda name, path, run: name or _model(run),
        lambda name, path, run: name or f"{_model(run)} [{path.name}]",
        lambda name, path, run: f"{name or _model(run)} [{_folder(path, run)}]",
        lambda name, path, run: f"{name or _model(run)} [{_folder(path, run)} {run.date}]",
    ]
    for attempt in attempts:
        labels = [attempt(*item) for item in found]
        keys = [(label, run.task) for label, (_, _, run) in zip(labels, found, strict=True)]
        if len(set(keys)) == len(keys):
            return labels
    return [f"{label} #{number}" for number, label in enumerate(labels, 1)]


def _model(run: TaskRun) -> str:
    """The last part of the model's name or folder, or the model class."""
    return Path(run.model).name or str(run.run_config.get("model", "")) or "?"


def _folder(path: Path, run: TaskRun) -> str:
    """The folder of the results below the one that was named."""
    if path.is_file():
        return path.parent.name
    return str(Path(path.name) / run.results.parent.relative_to(path))
