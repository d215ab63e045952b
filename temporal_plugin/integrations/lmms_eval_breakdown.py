"""Scores by category (question type, length of the video, ...) as metrics of their own.

For a question of category `short` each metric `accuracy` is repeated as `accuracy/short`; questions
of other categories hold None there, so that they are in no mean that is not theirs, while every
row has every key. `questions/short` counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from temporal_plugin.annotations.sample import Sample

QUESTIONS = "questions"
_ODD = re.compile(r"[^\w.+@-]+")


def categories_of(sample: Sample, fields: Mapping[str, str]) -> dict[str, str]:
    """The sample's value of each category, in the form that metric names hold.

    Args:
        sample: the question.
        fields: category -> field of `extra`; a value that is no text and no number has no name,
            and its category is missing from the answer.
    """
    found = {}
    for category, name in fields.items():
        value = sample.extra.get(name)
        is_word = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        word = _ODD.sub("_", str(value)).strip("_") if is_word else ""
        if word:
            found[category] = word
    return found


def values(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """All values of all categories, in order; `rows` as from `categories_of`.

    Raises:
        ValueError: two categories share a value, so that its metric would mean both.
    """
    owner: dict[str, str] = {}
    for row in rows:
        for category, value in row.items():
            if owner.setdefault(value, category) != category:
                raise ValueError(
                    f"the categories {owner[value]!r} and {category!r} share the value {value!r}; "
                    "name fields with different values in dataset_kwargs.categories"
                )
    return sorted(owner, key=_order)


def _order(value: str) -> tuple[float, str]:
    """Numbers by their size, before words."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def names(merits: Iterable[str], value: str) -> list[str]:
    """The metrics of one category."""
    return [f"{name}/{value}" for name in (*merits, QUESTIONS)]


def with_categories(
    items: dict[str, dict], merits: Iterable[str], mine: Mapping[str, str], all_values: list[str]
) -> dict[str, Any]:
    """The items of a question followed by those of all categories, before which they stand.

    lmms-eval takes the size of a task from its last metric, so that those of all questions come
    last.
    """
    merits = list(merits)
    parts: dict[str, Any] = {}
    for value in all_values:
        is_mine = value in mine.values()
        for name in merits:
            whole = items[name]
            short = {"score": whole["score"], "video": whole["video"]}
            parts[f"{name}/{value}"] = short if is_mine else None
        counted = {"score": 1.0, "video": items[merits[0]]["video"]}
        parts[f"{QUESTIONS}/{value}"] = counted if is_mine else None
    return {**parts, **items}
