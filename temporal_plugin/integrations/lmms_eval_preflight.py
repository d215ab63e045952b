"""What is missing, all at once and before a model loads: annotations, videos, prompts, judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loguru import logger

from temporal_plugin.annotations.check import VideoProblem, problems_of, survey
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import lmms_eval_reflection as reflection
from temporal_plugin.integrations.lmms_eval_config import complete, source_of
from temporal_plugin.integrations.lmms_eval_kinds import KINDS, Kind
from temporal_plugin.integrations.lmms_eval_source import BAD_VIDEO_SETTING, Source
from temporal_plugin.resources import DATA_SETTING

LISTED = 20
"""Problems that a message lists; it counts the rest."""

_surveyed: dict[tuple, Any] = {}
"""What was found at each file of this size and age: the tasks of a run share videos."""

_read: dict[tuple, list[tuple[str, Sample]]] = {}
"""The samples of each task: they are checked before the model is loaded, and asked after it."""


@dataclass
class _Found:
    """What is wrong with the tasks of a run."""

    problems: list[str] = field(default_factory=list)
    strict: Counter[str] = field(default_factory=Counter)  # video -> questions that need it
    lenient: Counter[str] = field(default_factory=Counter)  # the same, of tasks that count it


def check_tasks(
    tasks: Iterable[tuple[str, Mapping[str, Any]]],
    limit: float | None = None,
    offset: int = 0,
    *,
    model: Any = None,
    force_simple: bool = False,
) -> None:
    """Check all tasks of a command, each with those of its videos that will be asked for.

    Args:
        tasks: (kind, the task's YAML) each.
        limit, offset, model, force_simple: as given to lmms-eval.

    Raises:
        ValueError: names all that is missing, and the settings to change.
    """
    found = _Found()
    for kind, config in tasks:
        if kind == "reflection" and model is not None:
            problem = reflection.model_problem(model, force_simple=force_simple)
            found.problems += [f"{config.get('task', '?')}: {problem}"] if problem else []
        try:
            _check_task(KINDS[kind], dict(config), limit, offset, found)
        except (ValueError, OSError) as error:
            found.problems.append(f"{config.get('task', '?')}: {error}")
    bad = found_bad(found.strict + found.lenient)
    count_as_failure([item for item in bad if item.path not in found.strict])
    stopping = [item for item in bad if item.path in found.strict]
    if found.problems or stopping:
        parts = [*found.problems, *([_described(stopping)] if stopping else [])]
        raise ValueError("this run cannot start:\n" + "\n".join(parts))


def _check_task(
    kind: Kind, config: dict[str, Any], limit: float | None, offset: int, found: _Found
) -> None:
    """Add one task's videos to `found`; raises what else is wrong with it."""
    source = source_of(complete(config, kind.name))
    source.download()
    samples = read(source, kind)
    if kind.name == "caption":
        captions.require_judge(config.get("task", "?"))
    asked = _asked(samples, limit, offset)
    uses = found.strict if source.on_bad_video == "error" else found.lenient
    uses.update(sample.video for _, sample in asked)


def read(source: Source, kind: Kind) -> list[tuple[str, Sample]]:
    """`Source.read`, each sample fit for the kind of task; read once per run.

    Raises:
        ValueError: samples lack something; names the first of them.
    """
    version = _version(str(source.annotation_file()))
    key = (repr(replace(source, prompt="")), str(source.root), kind.name, version)
    if key not in _read:
        _read[key] = _fit(source, kind)
    return _read[key]


def _fit(source: Source, kind: Kind) -> list[tuple[str, Sample]]:
    samples = source.read()
    faults = [(sample.id, kind.lacks(sample)) for _, sample in samples]
    faults = [(name, lack) for name, lack in faults if lack is not None]
    if not faults:
        return samples
    name, lack = faults[0]
    what = (
        f"{len(faults)} of the {len(samples)} questions of {source.annotation_file()} are "
        f"none for a {kind.name} task, first {name}: {lack}"
    )
    if source.on_other_task == "error" or len(faults) == len(samples):
        raise ValueError(what)
    more = ", ..." if len(faults) > LISTED else ""
    named = ", ".join(name for name, _ in faults[:LISTED])
    logger.warning(f"{what}. They are left out: {named}{more}")
    unfit = {name for name, _ in faults}
    return [row for row in samples if row[1].id not in unfit]


def check_videos(samples: Sequence[Sample], on_bad_video: str) -> None:
    """Look at each distinct video once; list the bad ones, then stop or mark them as failed.

    Raises:
        ValueError: there are bad videos and `on_bad_video` is "error".
    """
    bad = found_bad(Counter(sample.video for sample in samples))
    if bad and on_bad_video == "error":
        raise ValueError(_described(bad))
    count_as_failure(bad)


def found_bad(uses: Mapping[str, int]) -> list[VideoProblem]:
    """The missing and unreadable ones of these videos; each file is opened once per run."""
    keys = {path: (path, *_version(path)) for path in uses}
    unknown = [path for path, key in keys.items() if key not in _surveyed]
    if unknown:
        _surveyed.update((keys[path], item) for path, item in survey(unknown).items())
    return problems_of(uses, {path: _surveyed[key] for path, key in keys.items()})


def count_as_failure(bad: Sequence[VideoProblem]) -> None:
    """Mark the videos as failed, so that their questions score 0, and say so."""
    new = [item for item in bad if failures.reason(item.path) is None]
    for item in new:
        failures.record(item.path, item.reason)
    if new:
        logger.warning(f"{_listed(new)}\nTheir questions are scored 0 and count as failed requests")


def _asked(rows: Sequence[Any], limit: float | None, offset: int) -> Sequence[Any]:
    """The rows that lmms-eval will ask; `limit` is a number or, below 1, a share of all."""
    count = len(rows)
    if limit is not None and limit not in (-1, 0):
        count = math.ceil(len(rows) * limit) if 0 < limit < 1 else int(limit)
    return rows[offset : offset + count]


def _described(bad: Sequence[VideoProblem]) -> str:
    return (
        f"{_listed(bad)}\n{DATA_SETTING} names the folder of all datasets; set "
        f"{BAD_VIDEO_SETTING}=count_as_failure to score these questions 0 and go on"
    )


def _listed(bad: Sequence[VideoProblem]) -> str:
    questions = sum(item.samples for item in bad)
    lines = [f"{len(bad)} videos, needed by {questions} questions, cannot be used:"]
    lines += [f"  {item.path}: {item.reason}; {item.remedy}" for item in bad[:LISTED]]
    if len(bad) > LISTED:
        lines.append(f"  and {len(bad) - LISTED} more")
    return "\n".join(lines)


def _version(path: str) -> tuple[int, int]:
    """What changes with the file; zeros where there is none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return 0, 0
    return status.st_size, status.st_mtime_ns
