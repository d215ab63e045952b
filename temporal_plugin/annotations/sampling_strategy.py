"""Which part of a dataset to take: `all`, `first:N`, `end:N` (= `last:N`) or `random:N`."""

from __future__ import annotations

import math
import random
import re
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


def select(rows: Sequence[T], strategy: str, *, seed: int = 0) -> list[T]:
    """The chosen rows in their original order.

    A percentage is rounded up, so that it never selects nothing of something; a count
    above `len(rows)` selects all. The same seed selects the same rows on every system.

    Raises:
        ValueError: not one of the strategies.
    """
    kind, number, percent = parse_strategy(strategy)
    # Rounding first: 0.07 * 100 is a hair above 7 in floats and must not become 8.
    wanted = math.ceil(round(number * len(rows) / 100, 6)) if percent else int(number)
    wanted = min(wanted, len(rows))
    if kind in ("all", "first"):
        return list(rows[:wanted])
    if kind in ("end", "last"):
        return list(rows[len(rows) - wanted :])
    # random() is the one method whose sequence Python promises to keep between versions.
    generator = random.Random(seed)
    order = sorted((generator.random(), index) for index in range(len(rows)))
    return [rows[index] for index in sorted(index for _, index in order[:wanted])]
