"""Standard errors and the paired bootstrap, by hand and against slow references."""

import math
import random

import numpy as np
import pytest

from temporal_plugin.metrics import paired_bootstrap as bootstrap
from temporal_plugin.metrics import stderr


def test_the_standard_error_without_clusters():
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    mean = sum(values) / 5
    expected = math.sqrt(sum((v - mean) ** 2 for v in values) / 4 / 5)
    assert stderr(values) == pytest.approx(expected)
    assert stderr(values, range(5)) == pytest.approx(expected)  # each its own cluster
    assert math.isnan(stderr([1.0]))


def test_the_standard_error_with_clusters_adds_the_cross_terms():
    values, videos = [1.0, 1.0, 0.0, 0.0, 1.0], ["a", "a", "b", "b", "c"]
    n, mean = 5, 0.6
    cross = sum(
        (values[i] - mean) * (values[j] - mean)
        for i in range(n)
        for j in range(n)
        if i != j and videos[i] == videos[j]
    )
    plain = sum((v - mean) ** 2 for v in values) / (n - 1) / n
    assert stderr(values, videos) == pytest.approx(math.sqrt(plain + cross / n**2))
    assert stderr(values, videos) > stderr(values)


def test_opposite_scores_in_a_cluster_do_not_give_a_negative_root():
    assert stderr([1.0, 0.0] * 2, ["a", "a", "b", "b"]) >= 0.0


def test_a_bootstrap_of_a_constant_difference_has_no_width():
    mean, low, high = bootstrap([0.2, 0.4, 0.6], [0.3, 0.5, 0.7], resamples=50)
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_bootstrap_covers_the_difference_and_repeats_itself():
    chance = random.Random(0)
    before = [chance.random() for _ in range(200)]
    after = [value + chance.gauss(0.1, 0.3) for value in before]
    mean, low, high = bootstrap(before, after, resamples=2000)
    assert low < mean < high
    assert low > 0.0
    deviation = stderr([b - a for a, b in zip(before, after, strict=True)])
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    assert bootstrap(before, after, resamples=2000) == (mean, low, high)
    assert bootstrap(before, after, resamples=2000, seed=1) != (mean, low, high)
    assert bootstrap(after, before, resamples=2000)[0] == pytest.approx(-mean)


def test_clusters_widen_the_interval():
    before = [0.0] * 100
    after = [float(i // 10 % 2) for i in range(100)]  # ten videos, all their questions alike
    _, low, high = bootstrap(before, after, resamples=2000)
    _, wide_low, wide_high = bootstrap(
        before, after, clusters=[i // 10 for i in range(100)], resamples=2000
    )
    assert wide_high - wide_low > 2 * (high - low)


def test_unequal_clusters_are_weighted_by_their_questions():
    mean, low, high = bootstrap([0, 0, 0], [1, 1, 0], clusters=["a", "a", "b"], resamples=500)
    assert mean == pytest.approx(2 / 3)
    assert (low, high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "settings", "message"),
    [
        ([1.0], [1.0, 2.0], {}, r"shapes \(1,\) and \(2,\)"),
        ([], [], {}, "shapes"),
        ([math.nan], [1.0], {}, "not finite"),
        ([1.0], [1.0], {"clusters": ["a", "b"]}, "1 questions but 2 clusters"),
        ([1.0], [1.0], {"resamples": 0}, "at least 1 resample"),
        ([1.0], [1.0], {"confidence": 1.0}, "between 0 and 1"),
    ],
)
def test_a_wrong_bootstrap_is_named(before, after, settings, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(before, after, **settings)


def test_a_bootstrap_equals_the_written_out_one():
    chance = random.Random(3)
    for seed in range(300):
        count = chance.randint(1, 15)
        before, after = ([chance.random() for _ in range(count)] for _ in range(2))
        videos = [chance.choice("abcde") for _ in range(count)]
        found = bootstrap(before, after, clusters=videos, resamples=40, seed=seed, confidence=0.8)
        names = list(dict.fromkeys(videos))
        drawn = np.random.default_rng(seed).integers(0, len(names), size=(40, len(names)))
        means = []
        for row in drawn:
            taken = [k for place in row for k in range(count) if videos[k] == names[place]]
            means.append(sum(after[k] - before[k] for k in taken) / len(taken))
        low, high = np.quantile(means, (0.1, 0.9))
        mean = sum(b - a for a, b in zip(before, after, strict=True)) / count
        assert found == pytest.approx((mean, low, high), abs=1e-12)
