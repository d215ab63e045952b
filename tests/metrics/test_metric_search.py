"""Temporal search by hand: times within a tolerance, frames that look alike."""

import math
import time

import numpy as np
import pytest

from temporal_plugin.metrics import (
    SEARCH_KEYS,
    VISUAL_SEARCH_KEYS,
    pairwise_ssim,
    temporal_search_item,
    visual_f1,
    visual_search_item,
)


def scores(predicted, truth, **settings):
    return tuple(temporal_search_item(predicted, truth, **settings)[key] for key in SEARCH_KEYS)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        ([10.0], [10.0], (1.0, 1.0, 1.0)),
        ([15.0], [10.0], (1.0, 1.0, 1.0)),  # five seconds count
        ([15.001], [10.0], (0.0, 0.0, 0.0)),
        ([1.0, 12.0, 100.0, 200.0], [10.0], (0.25, 1.0, 0.4)),
        ([10.0], [10.0, 12.0, 100.0, 200.0], (1.0, 0.5, 2 / 3)),
        ([10.0, 10.0, 90.0], [10.0], (0.5, 1.0, 2 / 3)),  # the same frame twice is one frame
        ([], [10.0], (0.0, 0.0, 0.0)),
        ([math.nan, 10.0], [10.0], (0.5, 1.0, 2 / 3)),
        ([math.inf], [10.0], (0.0, 0.0, 0.0)),
    ],
)
def test_times(predicted, truth, expected):
    assert scores(predicted, truth) == pytest.approx(expected)
    assert scores(predicted[::-1], truth[::-1]) == scores(predicted, truth)


def test_the_tolerance_can_be_set():
    assert scores([12.0], [10.0], tolerance_seconds=1.0) == (0.0, 0.0, 0.0)
    assert scores([10.0], [10.0], tolerance_seconds=0.0) == (1.0, 1.0, 1.0)
    for wrong in (-1.0, math.nan):
        with pytest.raises(ValueError, match="0 or more"):
            scores([1.0], [1.0], tolerance_seconds=wrong)


@pytest.mark.parametrize("truth", [[], [math.nan], [1.0, math.inf]])
def test_a_wrong_truth_is_our_mistake(truth):
    with pytest.raises(ValueError, match="Leave such rows out by name"):
        temporal_search_item([1.0], truth)


def test_visual_f1_is_harmonic():
    assert visual_f1(0.632, 0.764) == pytest.approx(0.6918, abs=1e-4)  # as TimeSearch-R prints
    assert visual_f1(0.0, 0.0) == 0.0
    assert visual_f1(1.0, 1.0) == 1.0


def frames(count, size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def direct_ssim(x, y):
    """SSIM of two planes pixel by pixel, with every window written out; zeros outside."""
    weights = np.array(
        [[math.exp(-(i * i + j * j) / 4.5) for j in range(-5, 6)] for i in range(-5, 6)]
    )
    weights /= weights.sum()
    x, y = (np.pad(plane.astype(np.float64) / 255, 5) for plane in (x, y))
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * a * a).sum() - ma**2, (weights * b * b).sum() - mb**2
            cov = (weights * a * b).sum() - ma * mb
            top = (2 * ma * mb + 0.01**2) * (2 * cov + 0.03**2)
            values.append(top / ((ma**2 + mb**2 + 0.01**2) * (va + vb + 0.03**2)))
    return np.mean(values)


@pytest.mark.parametrize("shape", [(16, 16), (23, 14), (7, 5)])  # the last is below the window
def test_ssim_equals_the_written_out_one(shape):
    generator = np.random.default_rng(1)
    first = generator.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    noise = generator.integers(-40, 40, first.shape)
    second = np.clip(first.astype(int) + noise, 0, 255).astype(np.uint8)
    found = pairwise_ssim(first, second)
    for i in range(2):
        for j in range(2):
            colours = [direct_ssim(first[i, ..., c], second[j, ..., c]) for c in range(3)]
            assert found[i, j] == pytest.approx(np.mean(colours), abs=1e-5)


def test_the_released_planes_are_rows_of_colours():
    first, second = frames(1, 12, seed=2), frames(1, 12, seed=3)
    rows = [direct_ssim(first[0, h], second[0, h]) for h in range(12)]
    found = pairwise_ssim(first, second, released_planes=True)
    assert found[0, 0] == pytest.approx(np.mean(rows), abs=1e-5)
    assert found[0, 0] != pytest.approx(pairwise_ssim(first, second)[0, 0], abs=1e-3)


def test_black_and_white_frames_by_hand():
    black, white = np.zeros((1, 12, 12, 3), np.uint8), np.full((1, 12, 12, 3), 255, np.uint8)
    assert pairwise_ssim(black, black)[0, 0] == 1.0
    assert pairwise_ssim(black, white)[0, 0] < 0.01
    assert pairwise_ssim(white, white)[0, 0] == pytest.approx(1.0, abs=1e-6)


def test_the_frames_themselves_are_a_gold_answer():
    truth = frames(4)
    found = visual_search_item(truth[[2, 0, 3, 1, 1]], truth)
    assert found == pytest.approx(dict.fromkeys(VISUAL_SEARCH_KEYS, 1.0), abs=1e-6)
    assert all(value <= 1.0 for value in found.values())


def test_precision_and_recall_look_in_their_own_direction():
    truth = frames(4)
    found = visual_search_item(truth[:1], truth)
    assert found["visual_precision"] == pytest.approx(1.0, abs=1e-6)
    similar = np.clip(pairwise_ssim(truth[:1], truth), 0, 1)
    assert found["visual_recall"] == pytest.approx(similar.mean())
    assert found["visual_recall"] < 0.5
    turned = visual_search_item(truth, truth[:1])
    assert turned["visual_precision"] == pytest.approx(found["visual_recall"])


def test_no_predicted_frame_is_zero_and_no_true_one_our_mistake():
    assert visual_search_item([], frames(2)) == dict.fromkeys(VISUAL_SEARCH_KEYS, 0.0)
    with pytest.raises(ValueError, match="no true frame"):
        visual_search_item(frames(2), [])


def test_wrong_frames_are_named():
    with pytest.raises(ValueError, match="resize them to one size"):
        visual_search_item(frames(1, 16), frames(1, 12))
    for wrong in (frames(1)[0], frames(1).astype(np.float32), frames(1)[..., :1]):
        with pytest.raises(ValueError, match="uint8"):
            pairwise_ssim(wrong, frames(1))


def test_eight_by_eight_frames_take_seconds():
    first, second = frames(8, 384), frames(8, 384, seed=1)
    begin = time.process_time()
    visual_search_item(first, second)
    assert time.process_time() - begin < 60  # about 3 s of one core
