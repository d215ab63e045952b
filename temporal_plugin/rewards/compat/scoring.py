"""Scoring a response as a seed does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from temporal_plugin.rewards.compat.seed import Parts, Seed
from temporal_plugin.rewards.compat.seeds import SEEDS
from temporal_plugin.rewards.model import Graded, task_of
from temporal_plugin.rewards.weights import applies_to, by_task, weight_of


def seed_named(name: str) -> Seed:
    """The seed of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        return SEEDS[name]
    except KeyError:
        raise ValueError(
            f"compat {name!r} is unknown; use one of: {', '.join(SEEDS)}, or none for this "
            "package's own rewards."
        ) from None


def score_like(
    seed: str, text: str, sample: Graded, weights: Mapping[str, Any] | None = None
) -> Parts:
    """Scores one response as `seed` does: `{"score", <part>, ..., "parse_failure"}`.

    The keys are the same in every row, as in `score`. "parse_failure" is 1.0 where the seed's
    own parser read no answer.

    Args:
        seed: a key of `SEEDS`.
        text: the model's response.
        sample: the question's truth: one true span, and the duration where the seed uses it.
        weights: by part of the seed, or by task and part; None: the seed's own.

    Raises:
        ValueError: no such seed or part, a weight that is not finite, or a sample that the seed
            cannot score: another task, several true spans or none, no duration.
    """
    kind = seed_named(seed)
    task = task_of(sample)
    if task not in kind.tasks:
        raise ValueError(
            f"compat {seed!r} cannot score sample {sample.id!r} of the task {task!r}; it knows "
            f"{', '.join(kind.tasks)}."
        )
    rule = kind.tasks[task]
    chosen = rule.weights if weights is None else _own_weights(kind, task, weights)
    found = rule.read(text if isinstance(text, str) else "", sample)
    parts = {name: float(found.parts[name]) for name in rule.names}
    parts = {name: value if math.isfinite(value) else 0.0 for name, value in parts.items()}
    total = sum(weight * parts[name] for name, weight in chosen.items())
    absent = _absent(seed)[task]
    return {"score": total, **parts, **absent, "parse_failure": float(not found.has_answer)}


@lru_cache
def _absent(seed: str) -> dict[str | None, dict[str, float]]:
    return applies_to({task: rule.names for task, rule in SEEDS[seed].tasks.items()})


def _own_weights(seed: Seed, task: str, weights: Mapping[str, Any]) -> dict[str, float]:
    if weights and by_task(weights):
        weights = weights.get(task, {})
    if not weights:
        raise ValueError(
            f"compat {seed.name!r}: no weights given for the task {task!r}; leave the weights "
            "out to use the seed's own."
        )
    known = {name for rule in seed.tasks.values() for name in rule.names}
    for name in weights:
        if name not in known:
            raise ValueError(
                f"compat {seed.name!r} has no part {name!r}; its parts are "
                f"{', '.join(sorted(known))}. Leave the weights out to use its own."
            )
    names = seed.tasks[task].names
    return {name: weight_of(name, value) for name, value in weights.items() if name in names}
