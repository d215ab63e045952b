"""From the sample logs of `curate_boundaries` to the rows of `boundaries.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from temporal_plugin.answers import REFUSAL
from temporal_plugin.curation import id_rows
from temporal_plugin.curation.boundary_reflection import ReflectionSettings, reflect
from temporal_plugin.curation.boundary_rows import Reflection

NOTHING_OUTSIDE = "nothing outside"
"""`not_asked` of a log's row whose annotation leaves nothing to look at."""

SHORT_SECONDS = 2.0
"""Videos under this length are counted by themselves."""


@dataclass
class Reflected:
    """What a set of logs says.

    Attributes:
        rows: one per sample, sorted by id; those of `nothing_outside` have no answers.
        nothing_outside: ids that were not asked, as there is nothing outside of their spans.
        failed: ids whose video could not be shown; they have no row.
        unparsable: ids with an answer that cannot be read.
        short: ids of videos under `SHORT_SECONDS`, asked or not.
        copies: rows that were there twice with equal content.
    """

    rows: list[Reflection] = field(default_factory=list)
    nothing_outside: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unparsable: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    copies: int = 0

    @property
    def partial(self) -> list[str]:
        """The ids of the partial samples."""
        return [row.id for row in self.rows if row.partial]

    @property
    def answers(self) -> dict[str, int]:
        """All answers: how many name a moment, name none, and cannot be read."""
        total = sum(row.answers for row in self.rows)
        none = sum(row.none for row in self.rows)
        unparsable = sum(row.unparsable for row in self.rows)
        named = total - none - unparsable
        return {"all": total, "named": named, "none": none, "unparsable": unparsable}


def from_log(
    rows: Iterable[Mapping[str, Any]], settings: ReflectionSettings | None = None
) -> Reflected:
    """Reflections from the rows of one or several sample logs (`lmms_eval_results`).

    The shards of a run merge exactly: each id once, and the result does not depend on the order
    of shards or rows. `agree` holds for all answers that were given, also those that cannot be
    read.

    Raises:
        ValueError: an id twice with different answers, a row without a true span, or fewer
            answers than `settings.agree` asks for.
    """
    settings = settings or ReflectionSettings()
    unique, copies = id_rows.each_once(rows, lambda row: [row.get(name) for name in _CONTENT])
    found = Reflected(copies=copies)
    for row in unique:
        _take(found, row, settings)
    found.rows.sort(key=lambda item: item.id)
    for ids in (found.nothing_outside, found.failed, found.unparsable, found.short):
        ids.sort()
    return found


_CONTENT = ("request_failed", "not_asked", "predictions", "problems", "truth", "responses")


def _take(found: Reflected, row: Mapping[str, Any], settings: ReflectionSettings) -> None:
    """Add one sample to `found`."""
    id, duration = row["id"], row.get("duration")
    if duration is not None and duration < SHORT_SECONDS:
        found.short.append(id)
    if row.get("not_asked"):
        found.nothing_outside.append(id)
        answers, problems = [], []
    elif row.get("request_failed"):
        found.failed.append(id)
        return
    else:
        answers, problems = row["predictions"], row["problems"]
        if len(answers) < settings.agree:
            raise ValueError(
                f"{id}: {len(answers)} answers, and {settings.agree} must agree; run with "
                f"--repeats {settings.agree} or more, or ask for less agreement"
            )
    none = sum(problem == REFUSAL for problem in problems)
    unparsable = sum(problem is not None for problem in problems) - none
    if unparsable:
        found.unparsable.append(id)
    found.rows.append(
        reflect(
            id,
            answers,
            row["truth"],
            duration_seconds=duration,
            settings=settings,
            source=str(row.get("source") or ""),
            none=none,
            unparsable=unparsable,
        )
    )
