"""Difficulty from answers, its file, and merging the shards of a run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.curation import difficulty
from temporal_plugin.curation.difficulty import Difficulty, from_log, measure

TRUTH = [[2.0, 6.0]]
IOUS = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(tuple)


def log_row(id="a", predictions=(((2.0, 6.0),),), **more):
    predictions = [[list(pair) for pair in answer] for answer in predictions]
    return {"id": id, "predictions": predictions, "truth": TRUTH, "request_failed": False, **more}


def test_a_gold_answer_is_no_difficulty():
    row = measure("a", [TRUTH, TRUTH], TRUTH)
    assert (row.difficulty, row.spread, row.mean_iou, row.time_r1) == (0.0, 0.0, 1.0, 100.0)
    assert row.level() == "easy"


def test_numbers_of_three_answers():
    # right, half of it, and none at all
    row = measure("a", [TRUTH, [[2.0, 4.0]], []], TRUTH, source="demo")
    assert row.ious == (1.0, 0.5, 0.0)
    assert row.difficulty == pytest.approx(0.5)
    assert row.spread == pytest.approx((1 / 6) ** 0.5)  # population
    assert row.level() == "medium"
    assert row.predictions == (((2.0, 6.0),), ((2.0, 4.0),), ())


def test_several_spans_count_as_a_set():
    truth = [[0.0, 1.0], [3.0, 4.0]]
    assert measure("a", [[[0.0, 1.0]]], truth).ious == (0.5,)
    assert measure("a", [[[3.0, 4.0], [0.0, 1.0]]], truth).ious == (1.0,)


@given(IOUS)
def test_bounds(ious):
    row = Difficulty("a", ious)
    assert 0 <= row.difficulty <= 1
    assert 0 <= row.spread <= 0.5 + 1e-12
    assert row.level() in difficulty.LEVELS
    assert Difficulty.from_dict(json.loads(json.dumps(row.to_dict()))) == row


@pytest.mark.parametrize(
    ("ious", "level"),
    [((0.71,), "easy"), ((0.5,), "medium"), ((0.29,), "hard"), ((0.0,), "hard"), ((1.0,), "easy")],
)
def test_levels(ious, level):
    assert Difficulty("a", ious).level() == level


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", (0.5,)), "needed: the sample's id"),
        (("a", ()), "a: no answer"),
        (("a", (1.5,)), "an IoU is 1.5; allowed: 0 to 1"),
        (("a", (float("nan"),)), "an IoU is nan"),
        (("a", ("1",)), "an IoU is '1'; needed: a number"),
        (("a", (True,)), "an IoU is True"),
    ],
)
def test_bad_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Difficulty(*arguments)


def test_a_sample_without_truth_is_refused_by_name():
    with pytest.raises(ValueError, match="a: no true span"):
        measure("a", [TRUTH], [])


def test_the_file_is_sorted_and_reads_back_equal(tmp_path):
    rows = [measure("b", [TRUTH, []], TRUTH, source="demo"), measure("a", [TRUTH], TRUTH)]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    assert difficulty.write(one, rows) == 2
    difficulty.write(two, reversed(rows))
    assert one.read_bytes() == two.read_bytes()
    assert list(difficulty.read(one).values()) == sorted(rows, key=lambda row: row.id)
    line = json.loads(one.read_text().splitlines()[1])
    assert line["difficulty"] == 0.5 and line["level"] == "medium" and line["source"] == "demo"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"d.jsonl:1: a row is '\[\]'; needed: an object"),
        ('{"id": "a"}', "d.jsonl:1: a row is .* needed: an object with id and ious"),
        ('{"id": "a", "ious": [2]}', "d.jsonl:1: a: an IoU is 2"),
        ('{"id": 5, "ious": [1]}', "d.jsonl:1: id is 5"),
        ('{"id": "a", "ious": [1]}\n{"id": "a", "ious": [1]}', "d.jsonl:2: 'a' is there twice"),
        ("nonsense", "not JSON"),
        ('{"id": "a", "ious": [1], "predictions": [3]}', "d.jsonl:1"),
    ],
)
def test_a_malformed_file_names_its_line(tmp_path, text, message):
    path = tmp_path / "d.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        difficulty.read(path)


def test_shards_merge_exactly_in_any_order():
    rows = [log_row(f"v{number}", (((2.0, 2.0 + number),),)) for number in range(10)]
    whole = from_log(rows).rows
    assert [row.id for row in whole] == [f"v{number}" for number in range(10)]
    for shards in (2, 5):
        parts = [rows[start::shards] for start in range(shards)]
        assert from_log([row for part in reversed(parts) for row in part]).rows == whole


def test_an_equal_copy_is_dropped_and_counted():
    found = from_log([log_row("a"), log_row("b"), log_row("a")])
    assert [row.id for row in found.rows] == ["a", "b"]
    assert found.copies == 1


@pytest.mark.parametrize(
    "other",
    [
        log_row("a", ((),)),
        log_row("a", (((2.0, 6.0),), ((2.0, 6.0),))),
        log_row("a", request_failed=True),
        log_row("a", responses=["other words"]),
    ],
)
def test_a_copy_that_differs_is_an_error_with_its_id(other):
    with pytest.raises(ValueError, match="'a' was answered twice, differently"):
        from_log([log_row("a"), other])


def test_a_failed_video_has_no_difficulty_and_is_named():
    found = from_log([log_row("b", request_failed=True), log_row("a")])
    assert [row.id for row in found.rows] == ["a"]
    assert found.failed == ["b"]


def test_the_log_of_a_single_answer_will_do():
    row = {"id": "a", "prediction": [[2.0, 4.0]], "truth": TRUTH, "request_failed": False}
    assert from_log([row]).rows[0].time_r1 == 50.0
