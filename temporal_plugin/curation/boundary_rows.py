"""The rows of `boundaries.jsonl`: what boundary reflection found of each sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from temporal_plugin.curation import id_rows
from temporal_plugin.spans import Span


@dataclass(frozen=True)
class Reflection:
    """What K answers said about the time outside of one sample's annotation.

    Attributes:
        id: of the sample.
        span: its annotated spans as [start, end] in seconds.
        outside: the time outside of them that enough answers name.
        votes: for each stretch of `outside` the most answers that name one moment of it.
        partial: whether that makes the annotation incomplete.
        source: the sample's dataset.
        duration: of the video in seconds, None where unknown.
        answers: how many were given: 0 where the sample was not worth asking.
        none: answers that name no moment because there is none.
        unparsable: answers that cannot be read; they name nothing, and stay in `answers`.

    Raises:
        ValueError: no id, or counts that contradict each other.
    """

    id: str
    span: tuple[tuple[float, float], ...]
    outside: tuple[tuple[float, float], ...] = ()
    votes: tuple[int, ...] = ()
    partial: bool = False
    source: str = ""
    duration: float | None = None
    answers: int = 0
    none: int = 0
    unparsable: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ValueError(f"id is {self.id!r}; needed: the sample's id")
        if not isinstance(self.partial, bool):
            raise ValueError(f"{self.id}: partial is {self.partial!r}; allowed: true or false")
        for pair in (*self.span, *self.outside):
            Span(*pair)
        if len(self.votes) != len(self.outside):
            raise ValueError(
                f"{self.id}: {len(self.votes)} votes for {len(self.outside)} stretches; "
                "needed: one each"
            )
        for name in ("answers", "none", "unparsable"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{self.id}: {name} is {value!r}; allowed: whole numbers from 0")
        if self.none + self.unparsable > self.answers or self.partial > bool(self.outside):
            raise ValueError(
                f"{self.id}: {self.none} none and {self.unparsable} unparsable of {self.answers} "
                f"answers, partial {self.partial} of {len(self.outside)} stretches; no such row"
            )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; `from_dict` of it gives an equal value."""
        return {
            "id": self.id,
            "source": self.source,
            "span": [list(pair) for pair in self.span],
            "outside": [list(pair) for pair in self.outside],
            "votes": list(self.votes),
            "partial": self.partial,
            "duration": self.duration,
            "answers": self.answers,
            "none": self.none,
            "unparsable": self.unparsable,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Reflection:
        """From the JSON form; further keys are not read.

        Raises:
            ValueError: a key is missing or not what it should be.
        """
        needed = ("id", "span", "outside", "votes", "partial")
        if not isinstance(row, Mapping) or any(name not in row for name in needed):
            raise ValueError(
                f"a row is {str(row)[:80]!r}; needed: an object with {', '.join(needed)}"
            )
        known = {item.name: row[item.name] for item in fields(cls) if item.name in row}
        pairs = {name: tuple(map(tuple, row[name])) for name in ("span", "outside")}
        return cls(**{**known, **pairs, "votes": tuple(row["votes"])})


def write(path: str | Path, rows: Iterable[Reflection]) -> int:
    """See `id_rows.write`."""
    return id_rows.write(path, rows)


def read(path: str | Path) -> dict[str, Reflection]:
    """See `id_rows.read`."""
    return id_rows.read(path, Reflection.from_dict)
