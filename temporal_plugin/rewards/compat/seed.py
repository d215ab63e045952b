"""What a seed is: its parts and their weights, by task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from temporal_plugin.rewards.model import Graded

Parts = dict[str, float]


class Reading(NamedTuple):
    """A response as a seed sees it: every part by name, and whether it read any answer at all."""

    parts: Parts
    has_answer: bool


@dataclass(frozen=True, slots=True)
class Task:
    """How a seed scores one task.

    Attributes:
        read: scores a response to a sample.
        names: the parts, in order.
        weights: of the parts; those without one are only reported.
    """

    read: Callable[[str, Graded], Reading]
    names: tuple[str, ...]
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Seed:
    """A published system's reward.

    Attributes:
        name: the key in `SEEDS`.
        source: where the formula was published.
        tasks: by task name.
    """

    name: str
    source: str
    tasks: Mapping[str, Task]
