"""How hard each sample is for a model: from its answers to the same question, asked N times.

The rows come from the sample logs of an lmms-eval run (task `curate_difficulty`) and go into a
JSONL that the selections, the curriculum and other programs read:
`{"id", "source", "ious", "difficulty", "spread", "level", "predictions"}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from temporal_plugin import spans
from temporal_plugin.curation import id_rows
from temporal_plugin.spans import Span

LEVELS = ("easy", "medium", "hard")
EASY_BELOW, HARD_ABOVE = 0.3, 0.7
"""Default edges of the levels, of the difficulty."""


@dataclass(frozen=True)
class Difficulty:
    """What N answers to one sample's question were worth.

    Attributes:
        id: of the sample.
        ious: IoU of each answer with the truth, in [0, 1]; an answer without a span has 0.
        source: the sample's dataset.
        predictions: the spans of each answer as [start, end] in seconds, as far as known.

    Raises:
        ValueError: no id, no answer, or an IoU outside of [0, 1].
    """

    id: str
    ious: tuple[float, ...]
    source: str = ""
    predictions: tuple[tuple[tuple[float, float], ...], ...] = field(default=(), compare=True)

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ValueError(f"id is {self.id!r}; needed: the sample's id")
        if not self.ious:
            raise ValueError(f"{self.id}: no answer; needed: at least one IoU")
        for value in self.ious:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{self.id}: an IoU is {value!r}; needed: a number in [0, 1]")
            if not 0 <= value <= 1:  # false for NaN too
                raise ValueError(f"{self.id}: an IoU is {value!r}; allowed: 0 to 1")

    @property
    def mean_iou(self) -> float:
        """Mean over the answers, in [0, 1]."""
        return math.fsum(self.ious) / len(self.ious)

    @property
    def difficulty(self) -> float:
        """1 - mean IoU, in [0, 1] (VideoTG-R1)."""
        return 1.0 - self.mean_iou

    @property
    def spread(self) -> float:
        """Standard deviation of the answers' IoU (population), in [0, 0.5]."""
        return float(np.std(self.ious))

    @property
    def time_r1(self) -> float:
        """Time-R1's number: 100 x IoU of one greedy answer (here: of the first), in [0, 100].

        Its authors call it `difficulty`, although a larger one is easier.
        """
        return 100.0 * self.ious[0]

    def level(self, easy_below: float = EASY_BELOW, hard_above: float = HARD_ABOVE) -> str:
        """One of `LEVELS`; the edges themselves are medium."""
        if self.difficulty < easy_below:
            return "easy"
        return "hard" if self.difficulty > hard_above else "medium"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; `from_dict` of it gives an equal value."""
        return {
            "id": self.id,
            "source": self.source,
            "ious": list(self.ious),
            "difficulty": self.difficulty,
            "spread": self.spread,
            "level": self.level(),
            "predictions": [[list(pair) for pair in answer] for answer in self.predictions],
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Difficulty:
        """From the JSON form; what follows from `ious` is not read.

        Raises:
            ValueError: `id` or `ious` is missing or not what it should be.
        """
        if not isinstance(row, Mapping) or not isinstance(row.get("ious"), list):
            raise ValueError(f"a row is {str(row)[:80]!r}; needed: an object with id and ious")
        answers = row.get("predictions") or []
        return cls(
            id=row.get("id", ""),
            ious=tuple(row["ious"]),
            source=str(row.get("source") or ""),
            predictions=tuple(tuple(map(tuple, answer)) for answer in answers),
        )


def measure(
    id: str,
    answers: Sequence[Sequence[Sequence[float]]],
    truth: Sequence[Sequence[float]],
    source: str = "",
) -> Difficulty:
    """The difficulty of a sample from the spans of its answers.

    Args:
        id: of the sample.
        answers: per answer its spans as [start, end] in seconds; none where it names none.
        truth: the true spans.
        source: the sample's dataset.

    Raises:
        ValueError: no answer or no true span.
    """
    if not truth:
        raise ValueError(f"{id}: no true span, so that no IoU can be measured")
    true = [Span(*pair) for pair in truth]
    found = [[Span(*pair) for pair in answer] for answer in answers]
    return Difficulty(
        id=id,
        ious=tuple(spans.iou(answer, true) if answer else 0.0 for answer in found),
        source=source,
        predictions=tuple(tuple((s.start_seconds, s.end_seconds) for s in a) for a in found),
    )


@dataclass
class Measured:
    """What a set of logs says.

    Attributes:
        rows: one per sample, sorted by id.
        failed: ids whose video could not be shown; they have no difficulty.
        copies: rows that were there twice with equal content.
    """

    rows: list[Difficulty] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    copies: int = 0


def from_log(rows: Iterable[Mapping[str, Any]]) -> Measured:
    """Difficulties from the rows of one or several sample logs (`lmms_eval_results`).

    The shards of a run merge exactly: each id once, and the result does not depend on the order
    of shards or rows.

    Raises:
        ValueError: an id twice with different answers, or a row without a true span.
    """

    def content(row: Mapping[str, Any]) -> list:
        return [bool(row.get("request_failed")), _answers(row), row["truth"], row.get("responses")]

    unique, copies = id_rows.each_once(rows, content)
    found = Measured(copies=copies)
    for row in unique:
        if row.get("request_failed"):
            found.failed.append(row["id"])
        else:
            source = str(row.get("source") or "")
            found.rows.append(measure(row["id"], _answers(row), row["truth"], source))
    found.rows.sort(key=lambda item: item.id)
    found.failed.sort()
    return found


def _answers(row: Mapping[str, Any]) -> list:
    answers = row.get("predictions")
    return [row["prediction"]] if answers is None else answers


def write(path: str | Path, rows: Iterable[Difficulty]) -> int:
    """See `id_rows.write`."""
    return id_rows.write(path, rows)


def read(path: str | Path) -> dict[str, Difficulty]:
    """See `id_rows.read`."""
    return id_rows.read(path, Difficulty.from_dict)
