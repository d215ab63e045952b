"""The lazy greedy choice against brute force, and what it does where there is nothing to choose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.search.dpp import NEGLIGIBLE, greedy, relevance, select


def unit_rows(generator, count, dimensions, centres=None):
    """Random rows of length 1; around a few centres they are as alike as a video's frames."""
    rows = generator.standard_normal((count, dimensions))
    if centres:
        middle = generator.standard_normal((centres, dimensions))
        rows = middle[generator.integers(0, centres, count)] + 0.3 * rows
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(features, weights, k):
    """Greedy MAP from its definition: at each step the subset of greatest determinant."""
    kernel = features.astype(np.float64) @ features.astype(np.float64).T
    kernel *= weights[:, None] * weights[None, :]
    chosen = []
    for _ in range(k):
        values = []
        for frame in range(len(kernel)):
            subset = [*chosen, frame]
            values.append(
                -1.0 if frame in chosen else np.linalg.det(kernel[np.ix_(subset, subset)])
            )
        chosen.append(int(np.argmax(values)))
    return chosen


@pytest.mark.parametrize("count", [3, 17, 64, 200, 512])
@pytest.mark.parametrize("centres", [None, 5])
def test_equals_brute_force(count, centres):
    generator = np.random.default_rng(count)
    for _ in range(3 if count > 64 else 20):
        features = unit_rows(generator, count, 48, centres)
        weights = relevance(features, unit_rows(generator, 1, 48)[0])
        k = min(6, count - 1)
        assert greedy(features, weights, k) == brute_force(features, weights, k)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_k_different_sorted_frames_of_any_features(count, k, seed, doubled):
    generator = np.random.default_rng(seed)
    features = unit_rows(generator, count, 8)
    if doubled:  # frames of a static scene
        features = np.repeat(features, 3, axis=0)
    found = select(features, unit_rows(generator, 1, 8)[0], k)
    assert found == sorted(set(found))
    assert len(found) == min(k, len(features))
    assert all(0 <= frame < len(features) for frame in found)


def test_identical_frames_give_an_even_choice():
    features = np.ones((100, 4), np.float32) / 2
    found = select(features, features[0], 5)
    assert found[0] == 0
    assert found[-1] == 99
    assert max(np.diff(found)) <= 34


def test_a_duplicate_is_not_taken_twice():
    generator = np.random.default_rng(0)
    features = unit_rows(generator, 6, 16)
    doubled = np.repeat(features, 4, axis=0)
    found = select(doubled, features.sum(axis=0) / np.linalg.norm(features.sum(axis=0)), 5)
    assert len({frame // 4 for frame in found}) == 5


def test_the_most_relevant_frame_is_always_taken():
    generator = np.random.default_rng(1)
    features = unit_rows(generator, 300, 32)
    for frame in (0, 7, 299):
        assert frame in select(features, features[frame], 4)


def test_theta_trades_diversity_for_relevance():
    generator = np.random.default_rng(2)
    features, query = unit_rows(generator, 400, 32, centres=4), unit_rows(generator, 1, 32)[0]
    score = features @ query

    def mean(theta):
        return score[select(features, query, 8, theta=theta)].mean()

    assert mean(0.95) > mean(0.5) > mean(0.0)


def test_fewer_frames_than_asked_for():
    features = np.eye(3, dtype=np.float32)
    assert select(features, features[0], 8) == [0, 1, 2]


def test_relevance_spans_zero_to_one_unless_all_are_equal():
    features = unit_rows(np.random.default_rng(3), 50, 16)
    found = relevance(features, features[4])
    assert (found.min(), found.max()) == (0.0, 1.0)
    assert found[4] == 1.0
    same = np.repeat(features[:1], 5, axis=0) * np.float32(1 + NEGLIGIBLE / 10)
    assert relevance(same, features[4]).tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("features", "query", "k", "theta", "message"),
    [
        (np.zeros((4, 3)), np.zeros(2), 1, None, r"\(4, 3\) and the query \(2,\)"),
        (np.zeros(4), np.zeros(4), 1, None, r"\(4,\) and the query"),
        (np.zeros((4, 3)), np.zeros(3), 0, None, "k is 0"),
        (np.zeros((4, 3)), np.zeros(3), 1, 1.0, "theta is 1.0"),
        (np.zeros((4, 3)), np.full(3, np.nan), 1, None, "query's embedding is not finite"),
        (np.array([[1.0], [np.nan]]), np.ones(1), 1, None, "1 frames, such as frame 1"),
    ],
)
def test_wrong_input_is_refused(features, query, k, theta, message):
    with pytest.raises(ValueError, match=message):
        select(features, query, k, theta=theta)
