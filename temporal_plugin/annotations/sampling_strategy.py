"""Which part of a dataset to take: `all`, `first:N`, `end:N` (= `last:N`) or `random:N`."""

from __future__ import annotations

import heapq
import math
import random
import re
from array import array
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALLOWED = "all, first:N, end:N, last:N or random:N, with N a count from 1 or a percentage as in 10%"

_PATTERN = re.compile(r"(first|end|last|random):(\d{1,9}(?:\.\d{1,9})?)(%?)", re.ASCII)


def parse_strategy(strategy: object) -> tuple[str, float, bool]:
    """`(kind, number, whether it is a percentage)`.

    Raises:
        ValueError: not one of the strategies.
    """
    if strategy == "all":
        return "all", 100.0, True
    match = _PATTERN.fullmatch(strategy) if isinstance(strategy, str) else None
    if match:
        kind, number, percent = match[1], float(match[2]), bool(match[3])
        if percent and 0 < number <= 100:
            return kind, number, True
        if not percent and number >= 1 and number.is_integer():
            return kind, number, False
    raise ValueError(f"not a sampling strategy; allowed: {ALLOWED}")


def chosen(count: int, strategy: str, *, seed: int = 0) -> Sequence[int]:
    """The numbers of the chosen rows out of `count`, ascending.

    A percentage is rounded up, so that it never selects nothing of something; a number
    above `count` selects all. The same seed selects the same rows on every system.

    Raises:
        ValueError: not one of the strategies.
    """
    kind, number, percent = parse_strategy(strategy)
    # Rounding first: 0.07 * 100 is a hair above 7 in floats and must not become 8.
    wanted = math.ceil(round(number * count / 100, 6)) if percent else int(number)
    wanted = min(wanted, count)
    if kind in ("all", "first"):
        return range(wanted)
    if kind in ("end", "last"):
        return range(count - wanted, count)
    # random() is the one method whose sequence Python promises to keep between versions.
    generator = random.Random(seed)
    order = heapq.nsmallest(wanted, ((generator.random(), index) for index in range(count)))
    return array("Q", sorted(index for _, index in order))


def select(rows: Sequence[T], strategy: str, *, seed: int = 0) -> list[T]:
    """The chosen rows in their original order; see `chosen`."""
    return [rows[index] for index in chosen(len(rows), strategy, seed=seed)]
