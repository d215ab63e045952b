"""Which questions are worth searching for: TimeSearch-R's filter in two stages.

Stage one drops what a model answers from a few uniform frames (four there): no search is needed.
Stage two drops what it cannot answer with search, within K tries that each look at 64 frames at
most: nothing can be learned. The rows come from the sample logs of lmms-eval runs of the tasks
`curate_uniform` and `curate_search`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporal_plugin.curation import id_rows
from temporal_plugin.curation.selection import Selection

MAX_FRAMES = 64
"""Frames that one try may have looked at, as in TimeSearch-R."""

SOLVED_ABOVE = 0.5
"""A try solves a question where its score is above this: right, or an IoU of more than a half."""

EASY, HARD, FRAMES = "solved_by_uniform_frames", "not_solved_by_search", "looked_at_too_much"
FAILED_UNIFORM, FAILED_SEARCH = "uniform_request_failed", "search_request_failed"
NOT_SEARCHED = "not_searched"
"""The rules: why a question is not kept."""


@dataclass(frozen=True)
class Tries:
    """What the K answers to one question were worth.

    Attributes:
        id: of the sample.
        scores: of each answer, in [0, 1].
        frames: how many frames each answer rests on, besides the preview.

    Raises:
        ValueError: no id, no try, another number of frames than of scores, or a number outside.
    """

    id: str
    scores: tuple[float, ...]
    frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ValueError(f"id is {self.id!r}; needed: the sample's id")
        if not self.scores or len(self.scores) != len(self.frames):
            raise ValueError(
                f"{self.id}: {len(self.scores)} scores and {len(self.frames)} numbers of frames; "
                "needed: one or more of both, equally many"
            )
        for score in self.scores:
            if not _is_number(score) or not 0 <= score <= 1:
                raise ValueError(f"{self.id}: a score is {score!r}; allowed: 0 to 1")
        for count in self.frames:
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ValueError(f"{self.id}: {count!r} frames; allowed: whole numbers from 0")

    def solved(self, above: float = SOLVED_ABOVE, max_frames: float = math.inf) -> int:
        """The number of tries that solve the question with at most so many frames."""
        pairs = zip(self.scores, self.frames, strict=True)
        return sum(score > above and count <= max_frames for score, count in pairs)


@dataclass
class Asked:
    """What the logs of one stage say.

    Attributes:
        rows: the tries by id.
        failed: ids whose video could not be shown or whose request failed, sorted.
        copies: rows that were there twice with equal content.
    """

    rows: dict[str, Tries] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    copies: int = 0


def from_log(rows: Iterable[Mapping[str, Any]]) -> Asked:
    """The tries in one or several sample logs, as `lmms_eval_results` reads them.

    The shards of a run merge exactly: each id once, in whatever order they come.

    Raises:
        ValueError: an id twice with different answers, or a row without `tries`.
    """
    unique, copies = id_rows.each_once(rows, _content)
    found = Asked(copies=copies)
    for row in unique:
        if row.get("request_failed"):
            found.failed.append(row["id"])
        else:
            found.rows[row["id"]] = _tries(row["id"], row["tries"])
    found.failed.sort()
    return found


def _content(row: Mapping[str, Any]) -> list:
    if not isinstance(row.get("tries"), list):
        raise ValueError(
            f"{row.get('id')!r} has no tries: give the logs of curate_uniform or curate_search"
        )
    failed = bool(row.get("request_failed"))
    return [failed, row["tries"], row.get("responses"), row.get("response")]


def _tries(id: str, tries: Sequence[Any]) -> Tries:
    try:
        scores = tuple(float(each["score"]) for each in tries)
        return Tries(id, scores, tuple(each["frames"] for each in tries))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{id!r}: a try lacks its score or its frames ({error})") from error


def search_filter(
    ids: Sequence[str],
    uniform: Asked,
    search: Asked | None = None,
    *,
    solved_above: float = SOLVED_ABOVE,
    max_frames: int = MAX_FRAMES,
) -> Selection:
    """Keeps what uniform frames do not solve, and search does at least once.

    Without `search` the first stage alone decides: its result is what the second run asks. A
    question whose request failed is neither easy nor hard: it is dropped and named.

    Args:
        ids: the questions of the data; those kept stand in this order.

    Raises:
        ValueError: a threshold outside of its range, or none of the ids was asked.
    """
    if not 0 <= solved_above < 1:
        raise ValueError(f"solved_above is {solved_above}; allowed: 0 to below 1")
    if max_frames < 1:
        raise ValueError(f"max_frames is {max_frames}; allowed: 1 or more")
    known = uniform.rows.keys() | set(uniform.failed)
    if not known & set(ids):
        raise ValueError(
            f"none of the {len(ids)} samples is among the {len(known)} that were asked; run "
            "curate_uniform on the same data (TEMPORAL_PLUGIN_CURATE_DATA)"
        )
    kept: list[str] = []
    dropped: dict[str, list[str]] = {}
    for id in ids:
        if id in known:
            rule = _first_stage(id, uniform, solved_above)
            if rule is None and search is not None:
                rule = _second_stage(id, search, solved_above, max_frames)
            kept.append(id) if rule is None else dropped.setdefault(rule, []).append(id)
    asked = known if search is None else known | search.rows.keys() | set(search.failed)
    return Selection(
        tuple(kept),
        {rule: tuple(sorted(names)) for rule, names in dropped.items()},
        missing=tuple(sorted(set(ids) - known)),
        extra=tuple(sorted(asked - set(ids))),
    )


def _first_stage(id: str, uniform: Asked, above: float) -> str | None:
    """Why the question is dropped, or None."""
    if id not in uniform.rows:
        return FAILED_UNIFORM
    return EASY if uniform.rows[id].solved(above) else None


def _second_stage(id: str, search: Asked, above: float, max_frames: int) -> str | None:
    if id not in search.rows:
        return FAILED_SEARCH if id in search.failed else NOT_SEARCHED
    tries = search.rows[id]
    if tries.solved(above, max_frames):
        return None
    return FRAMES if tries.solved(above) else HARD


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
