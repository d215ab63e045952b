"""Sample logs to reflections: shards, copies, and all that can be wrong with an answer."""

import random

import pytest

from temporal_plugin.curation.boundary_log import NOTHING_OUTSIDE, from_log
from temporal_plugin.curation.boundary_reflection import ReflectionSettings

TRUTH = [[2.0, 6.0]]
FOUND = [[12.0, 15.0]]


def row(id="s", answers=(FOUND, FOUND, []), problems=None, **change):
    """A row of a sample log, as `lmms_eval_results.read_log` gives it."""
    if problems is None:
        problems = [None if answer else "refusal" for answer in answers]
    return {
        "id": id, "source": "demo", "duration": 20.0, "truth": TRUTH,
        "predictions": list(answers), "problems": list(problems),
        "responses": [str(answer) for answer in answers], "request_failed": False, **change,
    }  # fmt: skip


def test_a_found_moment_makes_a_partial_sample():
    found = from_log([row("b"), row("a", (FOUND, [], []))])
    assert [item.id for item in found.rows] == ["a", "b"]
    assert found.partial == ["b"] and found.rows[1].outside == ((12.0, 15.0),)
    assert found.rows[1].votes == (2,) and found.rows[1].source == "demo"
    assert found.answers == {"all": 6, "named": 3, "none": 3, "unparsable": 0}


def test_answers_that_cannot_be_read_are_counted_apart_and_stay_in_the_denominator():
    answers = ([], [], FOUND)
    found = from_log([row(answers=answers, problems=("no time found", "refusal", None))])
    assert found.answers == {"all": 3, "named": 1, "none": 1, "unparsable": 1}
    assert found.unparsable == ["s"] and not found.partial
    [item] = found.rows
    assert (item.answers, item.none, item.unparsable) == (3, 1, 1)
    loose = from_log([row(answers=answers, problems=("reversed span", "refusal", None))],
                     ReflectionSettings(agree=1))  # fmt: skip
    assert loose.partial == ["s"]


def test_samples_without_answers_are_told_apart():
    rows = [
        row("failed", (), request_failed=True),
        row("whole", ([],), not_asked=NOTHING_OUTSIDE, truth=[[0.0, 20.0]], duration=20.0),
        row("short", ([],), not_asked=NOTHING_OUTSIDE, truth=[[0.0, 1.0]], duration=1.5),
        row("asked"),
    ]
    found = from_log(rows)
    assert found.failed == ["failed"] and found.short == ["short"]
    assert found.nothing_outside == ["short", "whole"]
    assert [item.id for item in found.rows] == ["asked", "short", "whole"]
    assert [item.answers for item in found.rows] == [3, 0, 0]
    assert found.partial == ["asked"] and found.answers["all"] == 3


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing_and_copies_count_once(seed):
    rows = [row(f"s{number}", (FOUND,) * (number % 4) + ([],) * 3) for number in range(9)]
    whole = from_log(rows)
    shuffled = [*rows, *rows[:4]]
    random.Random(seed).shuffle(shuffled)
    again = from_log(shuffled)
    assert again.rows == whole.rows and again.copies == 4 and whole.copies == 0


@pytest.mark.parametrize(
    "change",
    [
        {"answers": (FOUND, [], [])},
        {"request_failed": True},
        {"not_asked": NOTHING_OUTSIDE},
        {"truth": [[2.0, 7.0]]},
        {"responses": ["a", "b", "c"]},
        {"problems": (None, None, "no time found")},
    ],
)
def test_two_answers_to_one_sample_are_an_error_that_names_it(change):
    with pytest.raises(ValueError, match="'twice' was answered twice, differently: give the logs"):
        from_log([row("twice"), row("other"), row("twice", **change)])


def test_fewer_answers_than_must_agree_are_an_error():
    with pytest.raises(ValueError, match="s: 1 answers, and 2 must agree; run with --repeats 2"):
        from_log([row(answers=(FOUND,))])
    assert from_log([row(answers=(FOUND,))], ReflectionSettings(agree=1)).partial == ["s"]


def test_a_row_without_truth_is_an_error():
    with pytest.raises(ValueError, match="s: no annotated span"):
        from_log([row(truth=[])])
