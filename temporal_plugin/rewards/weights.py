"""The weights of a run, read once: `{iou: 1.0}`, with options, or by task.

A value is a weight, or a mapping of `weight` and the reward's options; a mapping whose keys are
all tasks holds one such mapping per task.

    weights: {iou: 1.0, length: {weight: 0.1, max_chars: 500}}
    weights: {grounding: {tiou: 1.0, format: 0.1}, choice: {choice: 1.0, format: 0.1}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from temporal_plugin.rewards.model import TASKS, Graded, Reward, task_of
from temporal_plugin.rewards.registry import REWARDS, bound

Weights = Mapping[str, Any]
WEIGHT = "weight"
APPLIES = "_applies"
"""Ending of the key that says whether a part applies to a row, where not all rows have it."""


class Term(NamedTuple):
    """One part of a score."""

    name: str
    weight: float
    reward: Reward


class Row(NamedTuple):
    """What to compute for a row.

    Attributes:
        terms: the parts that it has.
        absent: the 0.0 of the parts that it has not, and for every part that only some tasks
            have whether it applies.
    """

    terms: tuple[Term, ...]
    absent: Mapping[str, float]


class Plan:
    """What to compute for the rows of each task."""

    def __init__(self, rows: Mapping[str | None, Row]) -> None:
        self._rows = rows
        self._same = rows.get(None)  # weights that are not by task

    def for_sample(self, sample: Graded) -> Row:
        """What to compute for this sample.

        Raises:
            ValueError: there are no weights for its task.
        """
        if self._same is not None:
            return self._same
        task = task_of(sample)
        if task not in self._rows:
            raise ValueError(
                f"sample {sample.id!r} is of the task {task!r}, and the weights are for "
                f"{', '.join(map(str, self._rows))} only; add weights for {task!r}, or leave "
                "such samples out."
            )
        return self._rows[task]


def plan_of(weights: Weights) -> Plan:
    """The plan for these weights; the same weights are read once.

    Raises:
        ValueError: no weights, an unknown reward or option, a weight that is no finite number.
    """
    if not weights:
        raise ValueError(f"no reward weights given; use some of: {', '.join(REWARDS)}.")
    try:
        return _plan(tuple(weights.items()))  # weights alone: the usual case, and the fastest
    except TypeError:  # a mapping of options or of a task's weights has no hash
        return _plan(tuple((name, _frozen(value)) for name, value in weights.items()))


def by_task(weights: Weights) -> bool:
    """Whether `weights` holds a mapping per task."""
    return all(
        name in TASKS and isinstance(value, Mapping) and WEIGHT not in value
        for name, value in weights.items()
    )


def applies_to(named: Mapping[str | None, tuple[str, ...]]) -> dict[str | None, dict[str, float]]:
    """Of part names by task: the entries that make the keys of all rows equal, by task."""
    names = dict.fromkeys(name for some in named.values() for name in some)
    partial = [name for name in names if not all(name in some for some in named.values())]
    return {
        task: {
            **{name: 0.0 for name in partial if name not in some},
            **{name + APPLIES: float(name in some) for name in partial},
        }
        for task, some in named.items()
    }


def _frozen(value: Any) -> Any:
    """`value` as something that a cache can compare; lists become tuples."""
    if isinstance(value, Mapping):
        return _Frozen((key, _frozen(item)) for key, item in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


class _Frozen(tuple):
    """A mapping as the tuple of its items."""


def _thawed(value: Any) -> Any:
    if isinstance(value, _Frozen):
        return {key: _thawed(item) for key, item in value}
    return value


@lru_cache(maxsize=64)
def _plan(items: tuple) -> Plan:
    weights = {name: _thawed(value) for name, value in items}
    groups: dict[str | None, Mapping[str, Any]] = weights if by_task(weights) else {None: weights}
    terms = {task: tuple(_term(*item) for item in some.items()) for task, some in groups.items()}
    for task, some in terms.items():
        if not some:
            raise ValueError(f"no reward weights given for the task {task!r}.")
    names = {task: tuple(term.name for term in some) for task, some in terms.items()}
    absent = applies_to(names)
    return Plan({task: Row(some, absent[task]) for task, some in terms.items()})


def _term(name: str, value: Any) -> Term:
    options: dict[str, Any] = {}
    if isinstance(value, Mapping):
        options = dict(value)
        if WEIGHT not in options:
            raise ValueError(
                f"reward {name!r} has the options {options} and no weight; add weight: 1.0."
            )
        value = options.pop(WEIGHT)
    return Term(name, weight_of(name, value), bound(name, options))


def weight_of(name: str, value: Any) -> float:
    """`value` as a weight.

    Raises:
        ValueError: it is not a finite number.
    """
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"reward weights must be finite numbers; that of {name!r} is {value!r}.")
    return float(value)
