"""Every method: what it keeps, how order and seed decide, and what it says it dropped."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.curation import selection
from temporal_plugin.curation.chance import id_hashes, uniforms
from temporal_plugin.curation.difficulty import Difficulty
from temporal_plugin.curation.selection import METHODS, allot, select


def rows(count=200, seed=0, answers=4):
    """Samples of two sources whose answers have random IoU, a tenth of them all 0."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        ious = np.clip(rng.beta(1, 2) + rng.normal(0, 0.1, answers), 0, 1)
        ious = np.zeros(answers) if number % 10 == 0 else ious
        found.append(Difficulty(f"s{number}", tuple(map(float, ious)), f"source{number % 3 % 2}"))
    return found


#: uniforms(id_hashes(["a", "b"]), "random", 0)
FIXED = [0.19447232937673226, 0.6848302985333725]
SETTINGS = {
    "gaussian": {"count": 50, "seed": 3},
    "range": {"count": 20, "low": 0.1},
    "random": {"count": 40, "seed": 3},
    "variance": {"count": 60, "min_spread": 0.05},
    "stratified": {"share": 0.25, "seed": 3},
}


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_rows_changes_nothing(method):
    ordered, shuffled = rows(), rows()
    random.Random(1).shuffle(shuffled)
    one, two = (
        METHODS[method](ordered, **SETTINGS[method]),
        METHODS[method](shuffled, **SETTINGS[method]),
    )
    assert one == two


@pytest.mark.parametrize("method", METHODS)
def test_every_sample_is_chosen_or_dropped_under_one_rule(method):
    found = METHODS[method](rows(), **SETTINGS[method])
    dropped = [id for ids in found.dropped.values() for id in ids]
    assert sorted([*found.ids, *dropped]) == sorted(row.id for row in rows())


@pytest.mark.parametrize("method", ["gaussian", "random"])
def test_a_larger_count_only_adds_and_a_seed_decides(method):
    small = METHODS[method](rows(), count=30, seed=5).ids
    large = METHODS[method](rows(), count=60, seed=5).ids
    assert large[:30] == small
    assert set(METHODS[method](rows(), count=30, seed=6).ids) != set(small)


@pytest.mark.parametrize("method", ["gaussian", "random"])
def test_a_new_row_takes_at_most_one_place(method):
    before = METHODS[method](rows(), count=50).ids
    after = METHODS[method]([*rows(), Difficulty("new", (0.3, 0.3, 0.3, 0.3))], count=50).ids
    assert len(set(before) - set(after)) <= 1


@pytest.mark.parametrize("method", METHODS)
def test_no_rows_is_no_choice(method):
    assert METHODS[method]([], **SETTINGS[method]).ids == ()


@pytest.mark.parametrize("method", ["gaussian", "range", "random", "variance"])
def test_a_count_below_one_is_refused(method):
    with pytest.raises(ValueError, match="count is 0; allowed: 1 or more"):
        METHODS[method](rows(), count=0)


def test_gaussian_drops_the_hopeless_and_prefers_the_mean():
    found = selection.gaussian(rows(3000), count=500)
    assert "s0" in found.dropped["mean_iou_is_zero"]
    p = {row.id: row.mean_iou for row in rows(3000)}
    picked = np.array([p[id] for id in found.ids])
    left = np.array([p[id] for id in found.dropped["not_drawn"]])
    assert abs(picked - 0.3).mean() < abs(left - 0.3).mean()


def test_gaussian_draws_with_time_r1s_weights():
    """One draw from two samples, over many seeds: the odds are those of the formula."""
    pair = [Difficulty("a", (0.3,)), Difficulty("b", (0.6,))]
    wins = Counter(selection.gaussian(pair, count=1, seed=seed).ids[0] for seed in range(4000))
    odds = 1 / np.exp(-(0.3**2) / (2 * 0.2**2))
    assert wins["a"] / wins["b"] == pytest.approx(odds, rel=0.12)


def test_gaussian_with_a_tiny_width_still_ranks_by_distance():
    """The weights underflow to 0 as floats; their logs do not."""
    far = [Difficulty(f"s{n}", (n / 20,)) for n in range(1, 20)]
    found = selection.gaussian(far, count=3, mean=0.5, width=0.001)
    assert set(found.ids) == {"s10", "s9", "s11"}


def test_range_is_open_below_closed_above_and_easy_to_hard():
    scale = [Difficulty(f"s{n:02d}", (n / 10,)) for n in range(11)]
    found = selection.range_filter(scale)
    assert found.ids == ("s07", "s06", "s05", "s04", "s03", "s02", "s01")
    assert found.dropped == {
        "mean_iou_too_low": ("s00",),
        "mean_iou_too_high": ("s08", "s09", "s10"),
    }


@given(st.integers(1, 60), st.integers(1, 60))
def test_range_picks_at_even_distances_and_none_twice(there, count):
    scale = [Difficulty(f"s{n:03d}", (0.7 - n / 1000,)) for n in range(there)]
    found = selection.range_filter(scale, count=count).ids
    assert len(found) == len(set(found)) == min(there, count)
    assert found[0] == "s000"
    if count > 1:
        assert found[-1] == f"s{there - 1:03d}"
    places = np.array([int(id[1:]) for id in found])
    assert len(places) < 3 or np.ptp(np.diff(places)) <= 1


def test_variance_keeps_what_can_teach():
    some = [
        Difficulty("right", (1.0, 1.0, 1.0)),
        Difficulty("wrong", (0.0, 0.0, 0.0)),
        Difficulty("third", (1 / 3, 1 / 3, 1 / 3)),
        Difficulty("half", (0.0, 1.0, 0.0)),
        Difficulty("some", (0.4, 0.5, 0.6)),
    ]
    found = selection.variance(some)
    assert found.ids == ("half", "some")
    assert found.dropped == {"spread_too_small": ("right", "third", "wrong")}
    assert selection.variance(some, min_spread=0.2).ids == ("half",)
    assert selection.variance(some, count=1).dropped["smaller_spread"] == ("some",)
    assert selection.variance(some, low=0.4).dropped["mean_iou_too_low"] == ("half",)


def test_variance_needs_more_than_one_answer():
    with pytest.raises(ValueError, match="1 samples have one answer only, such as 'a'"):
        selection.variance([Difficulty("a", (0.5,))])


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_strata_keep_their_shares(share):
    found = selection.stratified(rows(400), share=share)
    assert len(found.ids) == round(400 * share)
    by_id = {row.id: row for row in rows(400)}
    whole = Counter((row.source, row.level()) for row in rows(400))
    part = Counter((by_id[id].source, by_id[id].level()) for id in found.ids)
    for stratum, size in whole.items():
        assert abs(part[stratum] - share * size) < 1


def test_strata_by_count_and_own_edges():
    scale = [Difficulty(f"s{n}", (n / 100,)) for n in range(100)]
    found = selection.stratified(scale, count=10, easy_below=0.5, hard_above=0.5)
    assert len(found.ids) == 10
    assert sum(int(id[1:]) > 50 for id in found.ids) in (4, 5, 6)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.data())
def test_allot_gives_out_everything_and_no_more_than_there_is(sizes, data):
    total = data.draw(st.integers(0, sum(sizes)))
    quotas = allot(total, sizes)
    assert sum(quotas) == total
    assert all(0 <= quota <= size for quota, size in zip(quotas, sizes, strict=True))


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("gaussian", {"width": 0}, "width is 0; allowed: above 0"),
        ("range", {"low": 0.8}, "allowed: 0 <= low < high <= 1"),
        ("variance", {"min_spread": 0.5}, "min_spread is 0.5"),
        ("variance", {"low": 0.9, "high": 0.1}, "allowed: 0 <= low <= high <= 1"),
        ("stratified", {}, "needs one of count and share"),
        ("stratified", {"count": 3, "share": 0.1}, "needs one of count and share"),
        ("stratified", {"share": 1.5}, "share is 1.5"),
        ("stratified", {"share": 0.5, "easy_below": 0.9}, "edges 0.9, 0.7"),
        ("range", {"seed": 3}, "method range takes no .'seed'.; it takes: count, low, high"),
        ("best", {}, "method is 'best'; allowed: gaussian, range"),
    ],
)
def test_wrong_settings_say_what_is_allowed(method, settings, message):
    known = {row.id: row for row in rows(20)}
    with pytest.raises(ValueError, match=message):
        select(known, known, method, **settings)


def test_missing_and_extra_ids_are_named():
    known = {row.id: row for row in rows(20)}
    found = select(["s3", "s1", "unmeasured"], known, "random")
    assert set(found.ids) == {"s1", "s3"}
    assert found.missing == ("unmeasured",)
    assert len(found.extra) == 18 and "s0" in found.extra


@pytest.mark.parametrize("method", METHODS)
def test_partial_samples_are_dropped_first_by_every_method(method):
    known = {row.id: row for row in rows()}
    partial = {f"s{number}" for number in range(0, 200, 3)} | {"of other data"}
    found = select(known, known, method, partial=partial, **SETTINGS[method])
    assert set(found.dropped["partial"]) == partial & set(known)
    assert next(iter(found.dropped)) == "partial" and not set(found.ids) & partial
    complete = {id: row for id, row in known.items() if id not in partial}
    assert found.ids == select(complete, complete, method, **SETTINGS[method]).ids
    everything = [id for ids in (found.ids, *found.dropped.values()) for id in ids]
    assert sorted(everything) == sorted(known), "each is chosen or dropped by one rule"


def test_without_a_complete_sample_there_is_nothing_to_choose():
    known = {row.id: row for row in rows(3)}
    with pytest.raises(ValueError, match="all 3 measured samples are partial"):
        select(known, known, "random", partial=set(known))
    assert "partial" not in select(known, known, "random").dropped


def test_nothing_in_common_is_an_error():
    with pytest.raises(ValueError, match="none of the 1 samples is among the 20 measured ones"):
        select(["other"], {row.id: row for row in rows(20)}, "random")


def test_the_random_numbers_stay_what_they_are():
    """Fixed values: a change would select other samples for the same seed."""
    found = uniforms(id_hashes(["a", "b"]), "random", 0)
    assert found == pytest.approx(FIXED, abs=1e-15)


@given(st.text(max_size=5), st.integers(-5, 5))
def test_the_random_numbers_are_uniform(salt, number):
    found = uniforms(id_hashes([f"id{n}" for n in range(2000)]), salt, number)
    assert found.min() > 0 and found.max() < 1
    counts, _ = np.histogram(found, bins=10, range=(0, 1))
    assert counts.min() > 120 and counts.max() < 290  # 200 each; six standard deviations
