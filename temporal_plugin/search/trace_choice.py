"""Which searches of an evaluation become traces for SFT: the right and clean ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from temporal_plugin.annotations.sample import Sample

WRONG, NEVER_SEARCHED, UNCLEAN = "answered_wrong", "never_searched", "turn_or_call_failed"
FAILED, OTHERS_ARE_SHORTER = "request_failed", "others_are_shorter"
UNCLEAN_COUNTS = ("malformed", "failed_calls", "search_failures", "dropped_results", "overflow")
"""Of `conversation.COUNTERS`: a search with any of these is not worth copying."""


@dataclass
class Chosen:
    """What was chosen.

    Attributes:
        traces: samples with their `messages`, in the order of the data.
        dropped: rule -> how many searches (of FAILED: questions) it dropped.
        not_asked: ids of the data without a row, sorted; `not_in_data`: the converse.
    """

    traces: list[Sample] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    not_asked: list[str] = field(default_factory=list)
    not_in_data: list[str] = field(default_factory=list)


def choose(
    rows: Iterable[Mapping[str, Any]],
    samples: Sequence[Sample],
    *,
    solved_above: float = 0.5,
    min_searches: int = 1,
    per_sample: int = 1,
) -> Chosen:
    """Traces of the searches in sample logs of the search tasks.

    Kept are searches whose answer scored above `solved_above`, that looked `min_searches` times
    and in which nothing failed; of those about one sample the `per_sample` with the fewest turns.

    Args:
        rows: as `lmms_eval_results` reads them; ids may come several times.
        samples: the data that was asked.

    Raises:
        ValueError: a row holds no tries, or a number is out of range.
    """
    if not 0 <= solved_above < 1 or min_searches < 0 or per_sample < 1:
        raise ValueError(
            f"solved_above is {solved_above}, min_searches {min_searches} and per_sample "
            f"{per_sample}; needed: 0 to below 1, 0 or more, 1 or more"
        )
    found, asked = Chosen(), {}
    for row in rows:
        tries = row.get("tries")
        if not isinstance(tries, list):
            raise ValueError(f"{row.get('id')!r} has no tries: give the logs of search tasks")
        asked.setdefault(row["id"], []).extend(tries)
        if row.get("request_failed"):
            _count(found, FAILED)
    known = {sample.id for sample in samples}
    found.not_asked = sorted(known - asked.keys())
    found.not_in_data = sorted(asked.keys() - known)
    for sample in samples:
        good = []
        for search in asked.get(sample.id, ()):
            rule = _fault(search, solved_above, min_searches)
            good.append(search) if rule is None else _count(found, rule)
        good.sort(key=lambda search: len(search["turns"]))
        _count(found, OTHERS_ARE_SHORTER, len(good[per_sample:]))
        found.traces += [
            _trace(sample, search, number) for number, search in enumerate(good[:per_sample])
        ]
    return found


def _fault(search: Mapping[str, Any], solved_above: float, min_searches: int) -> str | None:
    """Why a search is not kept, or None."""
    if not search["score"] > solved_above:
        return WRONG
    counters = search["counters"]
    if counters.get("searches", 0) < min_searches:
        return NEVER_SEARCHED
    return UNCLEAN if any(counters.get(name) for name in UNCLEAN_COUNTS) else None


def _trace(sample: Sample, search: Mapping[str, Any], number: int) -> Sample:
    messages = []
    for turn in search["turns"]:
        if turn["role"] == "assistant":
            messages.append({"role": "assistant", "content": turn["text"]})
        elif turn.get("seconds"):
            messages.append({"role": "tool", "seconds": list(turn["seconds"])})
    id = sample.id if number == 0 else f"{sample.id}#{number}"
    return replace(sample, id=id, extra={**sample.extra, "messages": messages})


def _count(found: Chosen, rule: str, number: int = 1) -> None:
    if number:
        found.dropped[rule] = found.dropped.get(rule, 0) + number
