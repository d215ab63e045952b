"""Means over questions: all of them, whatever went wrong, and by category."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from functools import partial

from temporal_plugin.metrics.choices import CHOICE_KEYS, GROUNDED_CHOICE_KEYS
from temporal_plugin.metrics.grounding import FAILURES, GROUNDING_KEYS
from temporal_plugin.metrics.moments import MOMENT_KEYS
from temporal_plugin.metrics.search import SEARCH_KEYS, VISUAL_SEARCH_KEYS, visual_f1
from temporal_plugin.metrics.uncertainty import stderr

REQUEST_FAILURE = "request_failure"
LOWER_IS_BETTER = (*FAILURES, REQUEST_FAILURE)
UNNAMED = "(no value)"  # the category of a row that has none

Item = Mapping[str, float]


def means(
    items: Sequence[Item | None],
    clusters: Sequence[Hashable] | None = None,
    *,
    keys: Sequence[str],
) -> dict[str, float]:
    """Means over all `items`, in [0, 1], each with "<key>_stderr".

    Args:
        items: one per question, as an item function returns them; None where the request itself
            failed: zero everywhere, counted under "request_failure" only. An item of a sample
            log, zero already, says so itself under that key.
        clusters: the video of each item; questions about one video are not independent.
        keys: the keys to average.

    Returns:
        Each key and "request_failure" with their standard errors (NaN for a single question),
        and "questions", the denominator of all of them.

    Raises:
        ValueError: no items, not one cluster per item, or a score outside [0, 1], such as NaN.
    """
    if not items:
        raise ValueError("means: no items; the evaluation produced no rows at all.")
    result: dict[str, float] = {}
    for key in (*keys, REQUEST_FAILURE):
        values = [_value(item, key) for item in items]
        result[key] = math.fsum(values) / len(values)
        result[f"{key}_stderr"] = stderr(values, clusters)
    result["questions"] = float(len(items))
    return result


def _value(item: Item | None, key: str) -> float:
    if item is None:
        return float(key == REQUEST_FAILURE)
    value = float(item.get(key, 0.0) if key == REQUEST_FAILURE else item[key])
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"means: a score {key!r} is {value}; it must lie in [0, 1].")
    return value


grounding = partial(means, keys=GROUNDING_KEYS)
moments = partial(means, keys=MOMENT_KEYS)
choice = partial(means, keys=CHOICE_KEYS)
grounded_qa = partial(means, keys=GROUNDED_CHOICE_KEYS)
temporal_search = partial(means, keys=SEARCH_KEYS)


def visual_search(
    items: Sequence[Item | None], clusters: Sequence[Hashable] | None = None
) -> dict[str, float]:
    """`means` of the visual search items, and "visual_f1", the harmonic mean of the two means."""
    result = means(items, clusters, keys=VISUAL_SEARCH_KEYS)
    return {**result, "visual_f1": visual_f1(*(result[key] for key in VISUAL_SEARCH_KEYS))}


def breakdown(
    items: Sequence[Item | None],
    categories: Sequence[object],
    clusters: Sequence[Hashable] | None = None,
    *,
    keys: Sequence[str],
) -> dict[str, dict[str, float]]:
    """`means` for each value of a category, in the order of their first row.

    Args:
        categories: the category of each item, taken as text; None, NaN and "" count under
            `UNNAMED`, so that the questions of all categories sum up to those of the whole.

    Raises:
        ValueError: not one category per item, or as `means`.
    """
    if len(categories) != len(items):
        raise ValueError(
            f"breakdown: {len(items)} items but {len(categories)} categories; give one per item."
        )
    if clusters is not None and len(clusters) != len(items):
        raise ValueError(
            f"breakdown: {len(items)} items but {len(clusters)} clusters; give one per item."
        )
    places: dict[str, list[int]] = {}
    for place, category in enumerate(categories):
        places.setdefault(_name(category), []).append(place)
    result = {}
    for name, chosen in places.items():
        videos = None if clusters is None else [clusters[k] for k in chosen]
        result[name] = means([items[k] for k in chosen], videos, keys=keys)
    return result


def _name(category: object) -> str:
    if category is None or category != category or not str(category).strip():  # NaN is not itself
        return UNNAMED
    return str(category).strip()
