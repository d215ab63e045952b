"""QVHighlights by hand: top-1 recall and interpolated average precision."""

import pytest

from temporal_plugin.answers import REFUSAL, Answer
from temporal_plugin.metrics import MOMENT_KEYS, grounding_item, moment_item
from temporal_plugin.metrics.moments import AP_THRESHOLDS, average_precision
from temporal_plugin.spans import Span

TRUTH = (Span(0, 10), Span(20, 30))


def item(*pairs, truth=TRUTH):
    return moment_item(Answer(spans=tuple(Span(*pair) for pair in pairs)), truth, 150.0)


def test_the_thresholds_are_the_benchmarks():
    assert AP_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@pytest.mark.parametrize("order", [1, -1])
def test_all_true_windows_are_a_gold_answer(order):
    found = item(*[(0, 10), (20, 30)][::order])
    assert found == dict.fromkeys(MOMENT_KEYS, 1.0) | {"parse_failure": 0.0, "refusal": 0.0}


def test_half_of_the_windows_is_half_of_the_recall():
    found = item((20, 30))
    assert (found["qvh_r1@0.7"], found["map"], found["map@0.5"]) == (1.0, 0.5, 0.5)
    assert found["miou"] == 0.5  # of the unions


def test_only_the_first_span_counts_for_r1():
    found = item((50, 60), (0, 10), (20, 30))
    assert (found["qvh_r1@0.5"], found["qvh_r1@0.7"]) == (0.0, 0.0)
    # hits at ranks 2 and 3: precisions 1/2 and 2/3, the best at or after both ranks is 2/3
    assert found["map"] == pytest.approx(2 / 3)


def test_precision_falls_with_the_rank_of_the_second_hit():
    # hits at ranks 1 and 4: 1/2 * 1 + 1/2 * 2/4
    assert item((0, 10), (50, 60), (70, 80), (20, 30))["map"] == pytest.approx(0.75)


def test_a_repeated_window_is_a_false_positive():
    # hits at ranks 1 and 3
    assert item((0, 10), (0, 10), (20, 30))["map"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_the_average_runs_over_ten_thresholds():
    found = item((0, 7.5), truth=TRUTH[:1])  # IoU 0.75: a hit at 0.5, 0.55 ... 0.75
    assert (found["map@0.5"], found["map@0.75"]) == (1.0, 1.0)
    assert found["map"] == pytest.approx(0.6)
    assert (found["qvh_r1@0.5"], found["qvh_r1@0.7"]) == (1.0, 1.0)
    assert item((0, 5), truth=TRUTH[:1])["map"] == pytest.approx(0.1)


def test_the_best_free_window_is_taken():
    # the first overlaps both, the longer overlap wins and leaves the other one free
    assert average_precision([[0.6, 0.7], [0.0, 0.8]], 0.5) == 0.5
    assert average_precision([[0.6, 0.7], [0.8, 0.0]], 0.5) == 1.0
    # of equal ones the later is taken
    assert average_precision([[0.6, 0.6], [0.0, 0.8]], 0.5) == 0.5
    assert average_precision([[0.6, 0.6], [0.8, 0.0]], 0.5) == 1.0
    # taken already: the window falls to its next best
    assert average_precision([[0.6, 0.7], [0.6, 0.8]], 0.5) == 1.0


def test_ten_windows_are_looked_at():
    noise = [(100 + k, 100.5 + k) for k in range(10)]
    assert item(*noise, (0, 10))["map"] == 0.0
    assert item(*noise[:9], (0, 10), truth=TRUTH[:1])["map"] == pytest.approx(0.1)


@pytest.mark.parametrize("problem", ["no time range found", REFUSAL, None])
def test_no_span_scores_zero(problem):
    answer = Answer(problem=problem)
    found = moment_item(answer, TRUTH, 150.0)
    assert found.keys() == set(MOMENT_KEYS)
    assert found["parse_failure"] == float(problem != REFUSAL)
    assert found["refusal"] == float(problem == REFUSAL)
    assert not any(found[key] for key in MOMENT_KEYS if key not in ("parse_failure", "refusal"))


def test_the_grounding_keys_are_those_of_grounding():
    answer = Answer(spans=(Span(0, 6), Span(21, 40)))
    found = moment_item(answer, TRUTH)
    assert found | grounding_item(answer, TRUTH) == found


def test_our_mistakes_are_named():
    with pytest.raises(ValueError, match="truth holds no span"):
        moment_item(Answer(), (), 150.0)
    for duration in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite and above 0"):
            moment_item(Answer(), TRUTH, duration)
