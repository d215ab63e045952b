"""Which samples to train on: five methods, each the same for every order of the rows.

A method gets the measured difficulties and returns a `Selection`: ids in the order of the output,
and under each rule the ids that it dropped. Draws belong to the id (`chance`), so that equal seeds
select equal sets, a larger `count` only adds, and a new row changes nothing about the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from temporal_plugin.curation.chance import id_hashes, uniforms, weighted_order
from temporal_plugin.curation.difficulty import EASY_BELOW, HARD_ABOVE, Difficulty

Rows = Sequence[Difficulty]


@dataclass(frozen=True)
class Selection:
    """What a method chose.

    Attributes:
        ids: the chosen samples, in the order in which they are to be written.
        dropped: rule -> ids that it dropped, sorted.
        missing: ids of the data without a difficulty, sorted; never chosen.
        extra: ids with a difficulty that the data do not hold, sorted.
    """

    ids: tuple[str, ...]
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def gaussian(
    rows: Rows, *, count: int | None = None, mean: float = 0.3, width: float = 0.2, seed: int = 0
) -> Selection:
    """Time-R1's sampling: around one mean IoU, the model is neither helpless nor perfect.

    Samples with p = mean IoU = 0 are dropped; of the others `count` (2500 there) are drawn
    without replacement with weight exp(-(p - mean)^2 / (2 width^2)); all where not given. Its
    authors set mean 0.3 and width 0.2, and draw without a seed.

    Raises:
        ValueError: a width that is not above 0, or a count below 1.
    """
    if not width > 0:
        raise ValueError(f"width is {width}; allowed: above 0")
    kept, dropped = _keep(rows, "mean_iou_is_zero", lambda row: row.mean_iou > 0)
    p = np.array([row.mean_iou for row in kept])
    order = weighted_order(_hashes(kept), -((p - mean) ** 2) / (2 * width**2), "gaussian", seed)
    return _first(kept, order, count, dropped, "not_drawn")


def range_filter(
    rows: Rows, *, count: int | None = None, low: float = 0.0, high: float = 0.7
) -> Selection:
    """Time-R1's range: low < mean IoU <= high, from easy to hard, `count` at even distances.

    Nothing is random: the first is the easiest, the last the hardest of the range (authors:
    0 and 0.7). Among equals the id decides.

    Raises:
        ValueError: not 0 <= low < high <= 1, or a count below 1.
    """
    if not 0 <= low < high <= 1:
        raise ValueError(f"range is {low} to {high}; allowed: 0 <= low < high <= 1")
    kept, below = _keep(rows, "mean_iou_too_low", lambda row: row.mean_iou > low)
    kept, above = _keep(kept, "mean_iou_too_high", lambda row: row.mean_iou <= high)
    kept = sorted(kept, key=lambda row: (-row.mean_iou, row.id))
    number = _at_most(count, len(kept))
    # whole numbers: linspace's rounding could name a row twice
    steps = max(1, number - 1)
    picked = [kept[index * (len(kept) - 1) // steps] for index in range(number)]
    return _selection(picked, kept, {**below, **above}, "between_picks")


def random_pick(rows: Rows, *, count: int | None = None, seed: int = 0) -> Selection:
    """`count` of all samples, each as likely as any other.

    Raises:
        ValueError: a count below 1.
    """
    order = weighted_order(_hashes(rows), np.zeros(len(rows)), "random", seed)
    return _first(rows, order, count, {}, "not_drawn")


def variance(
    rows: Rows,
    *,
    count: int | None = None,
    min_spread: float = 0.0,
    low: float = 0.0,
    high: float = 1.0,
) -> Selection:
    """Temporal-R1's idea: keep samples on which repeated answers differ in their reward.

    GRPO learns nothing of a group whose answers all score the same. The authors released neither
    code nor thresholds; here a sample is kept where the standard deviation of its IoU is above
    `min_spread` and its mean IoU in [low, high]. Of more than `count` those with the largest
    spread stay; among equals the id's hash decides.

    Raises:
        ValueError: only one answer per sample, a threshold outside of its range, a count below 1.
    """
    if not 0 <= min_spread < 0.5:
        raise ValueError(f"min_spread is {min_spread}; allowed: 0 to below 0.5, the largest spread")
    if not 0 <= low <= high <= 1:
        raise ValueError(f"mean IoU from {low} to {high}; allowed: 0 <= low <= high <= 1")
    once = sorted(row.id for row in rows if len(row.ious) < 2)
    if once:
        raise ValueError(
            f"{len(once)} samples have one answer only, such as {once[0]!r}: their spread is "
            "unknown; run curate_difficulty with repeats of 2 or more"
        )
    # a hair above: equal answers may differ in the last bit of their mean
    kept, flat = _keep(rows, "spread_too_small", lambda row: row.spread > min_spread + 1e-12)
    kept, below = _keep(kept, "mean_iou_too_low", lambda row: row.mean_iou >= low)
    kept, above = _keep(kept, "mean_iou_too_high", lambda row: row.mean_iou <= high)
    order = np.lexsort((_hashes(kept), [-row.spread for row in kept]))
    return _first(kept, order, count, {**flat, **below, **above}, "smaller_spread")


def stratified(
    rows: Rows,
    *,
    count: int | None = None,
    share: float | None = None,
    easy_below: float = EASY_BELOW,
    hard_above: float = HARD_ABOVE,
    seed: int = 0,
) -> Selection:
    """The same share of every source and level of difficulty, so that neither mix changes.

    Fractions of a sample go to the strata with the largest remainders, so that the total is
    exact. VideoTG-R1 keeps 10% (`share` 0.1) by source and difficulty.

    Raises:
        ValueError: not exactly one of `count` and `share`, or one outside of its range.
    """
    if (count is None) == (share is None):
        raise ValueError("stratified selection needs one of count and share")
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"share is {share}; allowed: above 0, to 1")
    if not 0 <= easy_below <= hard_above <= 1:
        raise ValueError(f"edges {easy_below}, {hard_above}; allowed: 0 <= easy <= hard <= 1")
    if share is not None:
        count = max(1, round(share * len(rows))) if rows else None
    strata: dict[tuple[str, str], list[Difficulty]] = {}
    for row in rows:
        strata.setdefault((row.source, row.level(easy_below, hard_above)), []).append(row)
    names = sorted(strata)
    quotas = allot(_at_most(count, len(rows)), [len(strata[name]) for name in names])
    picked: list[Difficulty] = []
    for name, quota in zip(names, quotas, strict=True):
        group = strata[name]
        order = weighted_order(_hashes(group), np.zeros(len(group)), "stratified", seed)
        picked += [group[index] for index in order[:quota]]
    mixed = np.argsort(uniforms(_hashes(picked), "stratified order", seed), kind="stable")
    return _selection([picked[index] for index in mixed], rows, {}, "not_drawn")


METHODS: dict[str, Callable[..., Selection]] = {
    "gaussian": gaussian,
    "range": range_filter,
    "random": random_pick,
    "variance": variance,
    "stratified": stratified,
}
"""Name of `--method` -> function."""


def select(
    data_ids: Iterable[str],
    difficulties: Mapping[str, Difficulty],
    method: str,
    *,
    partial: Collection[str] = (),
    **settings: object,
) -> Selection:
    """A method applied to the samples that are in the data and have a difficulty.

    Those whose annotation is `partial` are dropped first, under the rule of that name.

    Raises:
        ValueError: an unknown method or setting, or nothing that has both.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    allowed = METHODS[method].__kwdefaults__ or {}
    unknown = sorted(set(settings) - set(allowed))
    if unknown:
        raise ValueError(f"method {method} takes no {unknown}; it takes: {', '.join(allowed)}")
    ids = set(data_ids)
    both = sorted(ids & set(difficulties))
    if not both:
        raise ValueError(
            f"none of the {len(ids)} samples is among the {len(difficulties)} measured ones; "
            "measure the same data (curate_difficulty with TEMPORAL_PLUGIN_CURATE_DATA)"
        )
    incomplete = tuple(id for id in both if id in partial)
    complete = [difficulties[id] for id in both if id not in partial]
    if not complete:
        raise ValueError(
            f"all {len(both)} measured samples are partial, so that none is left; reflect with "
            "more agreement (`curate boundaries --agree`), or look at the videos"
        )
    found = METHODS[method](complete, **settings)
    return Selection(
        found.ids,
        {**({"partial": incomplete} if incomplete else {}), **found.dropped},
        missing=tuple(sorted(ids - set(difficulties))),
        extra=tuple(sorted(set(difficulties) - ids)),
    )


def allot(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` places shared in proportion to `sizes`, none above its size, by largest remainder.

    Raises:
        ValueError: more places than there are members.
    """
    everyone = sum(sizes)
    if not 0 <= total <= everyone:
        raise ValueError(f"{total} places for {everyone} members; allowed: 0 to {everyone}")
    if not everyone:
        return [0] * len(sizes)
    quotas = [total * size // everyone for size in sizes]
    remainders = [total * size % everyone for size in sizes]
    largest = sorted(range(len(sizes)), key=lambda index: (-remainders[index], index))
    for index in largest[: total - sum(quotas)]:
        quotas[index] += 1
    return quotas


def _hashes(rows: Rows) -> np.ndarray:
    return id_hashes([row.id for row in rows])


def _keep(
    rows: Rows, rule: str, test: Callable[[Difficulty], bool]
) -> tuple[list[Difficulty], dict[str, tuple[str, ...]]]:
    kept = [row for row in rows if test(row)]
    dropped = sorted(row.id for row in rows if not test(row))
    return kept, {rule: tuple(dropped)} if dropped else {}


def _at_most(count: int | None, there: int) -> int:
    if count is not None and count < 1:
        raise ValueError(f"count is {count}; allowed: 1 or more")
    return there if count is None else min(count, there)


def _first(rows: Rows, order: np.ndarray, count: int | None, dropped: dict, rule: str) -> Selection:
    number = _at_most(count, len(rows))
    return _selection([rows[index] for index in order[:number]], rows, dropped, rule)


def _selection(picked: Rows, kept: Rows, dropped: dict, rule: str) -> Selection:
    ids = tuple(row.id for row in picked)
    left = sorted({row.id for row in kept} - set(ids))
    return Selection(ids, {**dropped, rule: tuple(left)} if left else dropped)
