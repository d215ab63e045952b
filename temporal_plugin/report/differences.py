"""How sure the difference of two runs is, on the questions that both were asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from temporal_plugin.report.comparison import Row, paired_rows

if TYPE_CHECKING:
    from temporal_plugin.report.entries import Entry


@dataclasses.dataclass(frozen=True)
class Difference:
    """Two entries on the questions they share.

    Attributes:
        rows: one per metric; empty where the comparison was refused.
        shared, only_first, only_second: numbers of questions.
        refused: why there are no rows, "" where there are.
        left_out: metrics that are no number for some question.
        over: what the bootstrap draws, "videos" or "questions".
    """

    first: str
    second: str
    rows: Sequence[Row]
    shared: int
    only_first: int
    only_second: int
    refused: str = ""
    left_out: tuple[str, ...] = ()
    over: str = "videos"

    @property
    def questions(self) -> str:
        """The questions in words."""
        if not self.only_first and not self.only_second:
            return f"{self.shared} questions, the same in both"
        return (
            f"{self.shared} questions shared; {self.only_first} only in {self.first}, "
            f"{self.only_second} only in {self.second}"
        )


def compare_entries(first: Entry, second: Entry, *, intersection: bool = False) -> Difference:
    """Paired bootstrap between two entries over videos, or questions where no video is known.

    Question sets that differ are refused, unless `intersection` asks for what they share.
    """
    if first.questions is None or second.questions is None:
        without = first if first.questions is None else second
        return Difference(
            first.label,
            second.label,
            *((), 0, 0, 0),
            refused=f"{without.label} has no sample log; run lmms-eval with --log_samples",
        )
    shared = [name for name in first.questions if name in second.questions]
    counts = len(shared), len(first.questions) - len(shared), len(second.questions) - len(shared)
    found = Difference(first.label, second.label, (), *counts)
    if not shared:
        return dataclasses.replace(found, refused=f"no common question ({found.questions})")
    if any(counts[1:]) and not intersection:
        return dataclasses.replace(
            found,
            refused=f"the questions differ ({found.questions}); "
            "--intersection compares the shared ones",
        )
    before = [first.questions[name] for name in shared]
    after = [second.questions[name] for name in shared]
    names, left_out = _common([question.scores for question in (*before, *after)])
    if not names:
        return dataclasses.replace(found, refused="no metric is common to both")
    videos = [question.video for question in before]
    over = "questions" if None in videos else "videos"
    rows = paired_rows(
        [question.scores for question in before],
        [question.scores for question in after],
        names,
        clusters=videos if over == "videos" else None,
    )
    return dataclasses.replace(found, rows=rows, left_out=left_out, over=over)


def _common(scores: Sequence) -> tuple[list[str], tuple[str, ...]]:
    """The metrics that every question has as a number, and those that only some have."""
    names = dict.fromkeys(name for found in scores for name in found)
    full = [name for name in names if all(math.isfinite(s.get(name, math.nan)) for s in scores)]
    return full, tuple(name for name in names if name not in full)
