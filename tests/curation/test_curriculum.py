"""The curriculum as a state machine: orders, filter, weights; a state continues exactly."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.curation.curriculum import Curriculum, progress
from temporal_plugin.curation.curriculum_settings import ORDERS, CurriculumSettings

IDS = [f"s{number}" for number in range(10)]
DIFFICULTY = {id: (7 * number % 10) / 10 for number, id in enumerate(IDS)}


def build(ids=IDS, *, pool_at_least=1, difficulty=DIFFICULTY, **rules):
    return Curriculum(ids, CurriculumSettings(**rules), difficulty, pool_at_least=pool_at_least)


def success_of(ids, step):
    """A measurement that looks random and is the same in every run."""
    return {id: (hash_of(id) * 7 + step * 13) % 11 / 10 for id in ids}


def hash_of(id):
    return int(id[1:])


def run(curriculum, steps, count=3, start=0):
    drawn = []
    for step in range(start, start + steps):
        ids = curriculum.draw(count)
        curriculum.update(success_of(ids, step))
        drawn.append(ids)
    return drawn


def test_file_order_goes_round_and_round():
    found = run(build(order="file"), 4, count=4)
    assert [id for step in found for id in step] == [*IDS, *IDS[:6]]


def test_shuffled_holds_every_sample_once_an_epoch_and_differs_between_epochs():
    curriculum = build(order="shuffled")
    first, second = curriculum.draw(10), curriculum.draw(10)
    assert sorted(first) == sorted(second) == sorted(IDS)
    assert first != second != IDS
    assert build(order="shuffled", seed=1).draw(10) != first


def test_easy_to_hard_is_by_stored_difficulty():
    found = build(order="easy_to_hard").draw(10)
    assert [DIFFICULTY[id] for id in found] == sorted(DIFFICULTY.values())


def test_easy_to_hard_orders_equals_by_chance():
    same = dict.fromkeys(IDS, 0.5)
    curriculum = build(order="easy_to_hard", difficulty=same)
    assert curriculum.draw(10) != curriculum.draw(10)


def test_easy_to_hard_needs_every_difficulty():
    with pytest.raises(ValueError, match="1 of 10 samples have no difficulty, such as s9"):
        build(order="easy_to_hard", difficulty=dict.fromkeys(IDS[:-1], 0.5))


@pytest.mark.parametrize("order", ["shuffled", "easy_to_hard", "success"])
def test_the_order_of_the_file_does_not_matter(order):
    one, two = build(order=order), build(list(reversed(IDS)), order=order)
    assert run(one, 12) == run(two, 12)


@pytest.mark.parametrize("order", ORDERS)
def test_no_id_comes_twice_in_a_step(order):
    curriculum = build(order=order)
    for step in range(40):
        drawn = curriculum.draw(7)  # epochs end within the steps
        assert len(set(drawn)) == 7
        curriculum.update(success_of(drawn, step))


def test_a_pool_smaller_than_a_step_repeats_samples():
    assert Counter(build(["a", "b"], difficulty={}).draw(5)).most_common(1)[0][1] == 3
    assert len(build(["a", "b"], difficulty={}, order="success").draw(5)) == 5


FILTER = {"solved_above": 0.9, "hopeless_below": 0.1, "newest_share": 1.0}


def test_the_epochs_of_a_dropped_sample():
    """Epoch by epoch: away for `hopeless_return` boundaries, then back for one epoch."""
    curriculum = build(order="file", **FILTER, hopeless_return=2)
    there = []
    for _ in range(8):
        drawn = curriculum.draw(len(curriculum.pool))
        there.append("s0" in drawn)
        curriculum.update({id: 0.0 if id == "s0" else 0.5 for id in drawn})
        curriculum._next_epoch([])
    assert there == [True, False, False, True, False, False, True, False]


def test_solved_samples_stay_away_for_ever_by_default():
    curriculum = build(order="file", **FILTER)
    curriculum.draw(10)
    curriculum.update({id: 1.0 if id in IDS[:4] else 0.5 for id in IDS})
    for _ in range(5):
        assert set(curriculum.draw(6)) == set(IDS[4:])
    assert curriculum.metrics([])["curriculum/away_solved"] == 4


def test_a_sample_that_was_never_measured_is_never_dropped():
    curriculum = build(order="file", **FILTER)
    curriculum.draw(10)
    curriculum.update({"s0": 1.0})
    assert len(set(curriculum.draw(9))) == 9
    assert len(curriculum.pool) == 9


def test_the_filter_never_leaves_less_than_a_step():
    curriculum = build(order="shuffled", **FILTER, pool_at_least=4)
    for _ in range(5):
        drawn = curriculum.draw(10 if curriculum.epoch == 0 else 4)
        curriculum.update({id: 0.0 if hash_of(id) % 2 else 1.0 for id in drawn})
    assert len(curriculum.pool) >= 4


def test_the_average_moves_by_the_newest_share():
    curriculum = build(newest_share=0.25)
    for value in (1.0, 0.0, 0.0):
        curriculum.update({"s0": value})
    assert curriculum.records["s0"].success == pytest.approx(0.75**2)
    assert curriculum.records["s0"].seen == 3


def test_weights_follow_their_formula_and_never_vanish():
    curriculum = build(order="success", floor=0.2, target=0.5, width=0.25, newest_share=1.0)
    curriculum.update({"s0": 0.5, "s1": 0.0, "s2": 1.0, "s3": 0.75})
    bell = np.exp([0, -2, -2, -0.5])
    expected = [*(0.2 + 0.8 * bell), 1.0]
    assert curriculum.weights(["s0", "s1", "s2", "s3", "s4"]) == pytest.approx(expected)
    curriculum.update({"s1": -1e6})
    assert curriculum.weights(["s1"]) == pytest.approx([0.2])


def test_success_draws_by_weight():
    ids = [f"s{number}" for number in range(100)]
    curriculum = build(ids, difficulty={}, order="success", newest_share=1.0, floor=0.05)
    curriculum.update({id: 0.5 if hash_of(id) < 50 else 0.0 for id in ids})
    drawn = Counter(id for _ in range(300) for id in curriculum.draw(5))
    learning = sum(drawn[id] for id in ids[:50])
    hopeless = sum(drawn[id] for id in ids[50:])
    ratio = 1 / curriculum.weights(["s50"])[0]
    assert learning / hopeless == pytest.approx(ratio, rel=0.35)
    assert hopeless > 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("filtered", [{}, FILTER])
@given(before=st.integers(0, 12), count=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_a_restored_state_goes_on_exactly(order, filtered, before, count):
    unbroken = build(order=order, **filtered)
    run(unbroken, before, count)
    state = json.loads(json.dumps(unbroken.state()))
    resumed = build(order=order, **filtered)
    resumed.restore(state)
    assert resumed.state() == unbroken.state()
    assert run(resumed, 15, count, before) == run(unbroken, 15, count, before)
    assert resumed.state() == unbroken.state()


def test_a_state_of_other_data_is_taken_as_far_as_it_goes(caplog):
    old = build(order="file")
    old.draw(3)
    new = build([*IDS[:8], "new"], order="file")
    new.restore(old.state())
    assert "2 samples of the checkpoint are not in the data any more, such as s8, s9" in caplog.text
    assert new.draw(5) == IDS[3:8]
    assert "new" in new.draw(9)


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="version 99; known: 1"):
        build().restore({"version": 99})


def test_metrics_of_a_step():
    curriculum = build(order="file")
    drawn = curriculum.draw(2)
    curriculum.update({"s0": 1.0, "s1": 0.0})
    found = curriculum.metrics(drawn)
    assert found["curriculum/pool_size"] == 10
    assert found["curriculum/seen_share"] == 0.2
    assert found["curriculum/success_mean"] == 0.5
    assert found["curriculum/difficulty_mean"] == pytest.approx((0.0 + 0.7) / 2)


@pytest.mark.parametrize(
    ("update", "message"),
    [({"gone": 1.0}, "'gone' is no sample"), ({"s0": float("nan")}, "success of 's0' is nan")],
)
def test_a_wrong_measurement_is_refused(update, message):
    with pytest.raises(ValueError, match=message):
        build().update(update)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"order": "hardest"}, "curriculum.order is 'hardest'; allowed: file, shuffled"),
        ({"floor": 0}, "curriculum.floor is 0; allowed: above 0, to 1"),
        ({"newest_share": 2}, "curriculum.newest_share is 2"),
        ({"width": 0}, "curriculum.width is 0"),
        ({"hopeless_return": 0}, "curriculum.hopeless_return is 0; allowed: 1 or more, or null"),
        ({"solved_above": "high"}, "curriculum.solved_above is 'high'"),
        ({"solved_above": 0.2, "hopeless_below": 0.2}, "the first must be less"),
        ({"speed": 1}, r"unknown keys \['speed'\]; allowed: \['order', 'seed'"),
    ],
)
def test_wrong_settings_say_what_is_allowed(rules, message):
    with pytest.raises(ValueError, match=message):
        CurriculumSettings.from_mapping(rules)


@pytest.mark.parametrize("ids", [[], ["a", "a"]])
def test_ids_must_be_there_and_unique(ids):
    with pytest.raises(ValueError, match=r"at least one sample|1 ids are there twice, such as a"):
        build(ids)


def test_a_step_draws_at_least_one():
    with pytest.raises(ValueError, match="count is 0"):
        build().draw(0)


def test_progress_starts_at_nothing_and_never_reaches_the_end():
    assert [progress(step, 4) for step in (1, 2, 3, 4)] == [0, 0.25, 0.5, 0.75]
    for step in (0, 5):
        with pytest.raises(ValueError, match=f"step {step} of 4"):
            progress(step, 4)
