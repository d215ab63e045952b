import json
import math
import subprocess
import sys
from types import SimpleNamespace

import pytest

from temporal_plugin.answers import (
    Answer,
    Truth,
    decode_truth,
    encode_truth,
    parse,
    render,
)
from temporal_plugin.rewards import RewardError, resolve, score, score_answer
from temporal_plugin.spans import Span

SAMPLE = Truth("q1", spans=(Span(5, 9),), duration=30.0, query="the man jumps")
ABSENT = Truth("q2", spans=(), duration=30.0, query="a dog sings")
GROUNDED = Truth(
    "q3",
    task="grounded_choice",
    spans=(Span(5, 9), Span(12, 15)),
    duration=30.0,
    options=("red", "blue"),
    answer="B",
)


FEW = {"iou": 1.0, "tiou": 1.0, "format": 1.0}


def test_the_gold_answers_of_a_real_dataset_score_one(shared):
    videos = json.loads((shared / "data/annotations/charades_sta_test.json").read_text())
    for video in videos.values():
        for start, end in video["timestamps"]:
            sample = Truth("q", spans=(Span(start, end),), duration=video["duration"])
            text = render("think_answer", spans=sample.spans)
            row = score(text, sample, FEW, contract="think_answer")
            assert row == {"score": 3.0, **FEW, "parse_failure": 0.0}


def test_a_refusal_where_there_is_something_scores_zero_and_is_no_failure():
    row = score("The event does not occur.", SAMPLE, FEW)
    assert (row["iou"], row["tiou"], row["parse_failure"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "iou", "tiou", "form", "failure"),
    [
        ("<think>a</think><answer>5 to 9</answer>", 1.0, 1.0, 1.0, 0.0),
        ("5 to 9", 1.0, 1.0, 0.0, 0.0),
        (
            "<think>a</think><answer>7 to 11</answer>",
            2 / 6,
            2 / 6 * (1 - 2 / 30) * (1 - 2 / 30),
            1.0,
            0.0,
        ),
        ("<think>a</think><answer>15 to 20</answer>", 0.0, 0.0, 1.0, 0.0),
        ("<think>a</think><answer>9 to 5</answer>", 0.0, 0.0, 0.0, 1.0),
        ("<think>a</think><answer>40 to 50</answer>", 0.0, 0.0, 0.0, 1.0),
        ("<think>a</think><answer>B</answer>", 0.0, 0.0, 1.0, 1.0),
        ("<think>5 to 9</think>", 0.0, 0.0, 0.0, 1.0),
        ("", 0.0, 0.0, 0.0, 1.0),
        (None, 0.0, 0.0, 0.0, 1.0),
    ],
)
def test_rewards(text, iou, tiou, form, failure):
    row = score(text, SAMPLE, FEW, contract="think_answer")
    form = 0.0 if text and "B" in text else form  # a letter is no span
    assert row == pytest.approx(
        {"score": iou + tiou + form, "iou": iou, "tiou": tiou, "format": form}
        | {"parse_failure": failure}
    )


def test_the_weights_apply_to_the_sum_and_not_to_the_parts():
    row = score("<answer>7 to 11</answer>", SAMPLE, {"iou": 0.9, "format": 0.1})
    assert row["iou"] == pytest.approx(1 / 3)
    assert row["format"] == 1.0
    assert row["score"] == pytest.approx(0.9 / 3 + 0.1)


def test_a_grounded_choice_needs_both():
    good = "<answer>B</answer><glue>[(5, 9), (12, 15)]</glue>"
    assert score(good, GROUNDED, {"iou": 1.0})["parse_failure"] == 0.0
    for text in ("<answer>B</answer>", "<glue>[(5, 9)]</glue>", "<answer>x</answer>"):
        assert score(text, GROUNDED, {"iou": 1.0})["parse_failure"] == 1.0


def test_a_repeated_question_earns_nothing():
    sample = Truth("q", spans=(Span(5, 9),), query="What happens from 5 to 9 seconds?")
    assert score("What happens from 5 to 9 seconds.", sample, {"iou": 1.0})["iou"] == 0.0


def test_tiou_without_a_duration_is_our_mistake():
    sample = Truth("q7", spans=(Span(5, 9),))
    with pytest.raises(ValueError, match="sample 'q7' has no duration"):
        score("somewhere", sample, {"tiou": 1.0})
    assert score("5 to 9", sample, {"iou": 1.0})["iou"] == 1.0


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "no reward weights given; use some of: iou, tiou, iop"),
        ({"iuo": 1.0}, "reward 'iuo' is unknown; use one of: iou, tiou, iop"),
        ({"iou": math.nan}, "must be finite numbers"),
        ({"iou": math.inf}, "must be finite numbers"),
        ({"no_such_module_here:f": 1.0}, "cannot be loaded"),
        ({"math:no_such_function": 1.0}, "define 'no_such_function'"),
        ({"math:pi": 1.0}, "is not a function"),
    ],
)
def test_wrong_weights_are_our_mistake(weights, message):
    with pytest.raises(ValueError, match=message):
        score("5 to 9", SAMPLE, weights)


@pytest.fixture
def outsiders(tmp_path, monkeypatch):
    (tmp_path / "outsiders_rewards.py").write_text(
        "def length(answer, sample):\n    return len(answer.spans) / 2\n"
        "def breaks(answer, sample):\n    raise KeyError('nope')\n"
        "def nan(answer, sample):\n    return float('nan')\n"
        "def word(answer, sample):\n    return 'good'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "outsiders_rewards"
    sys.modules.pop("outsiders_rewards", None)
    resolve.cache_clear()


def test_a_reward_of_someone_else(outsiders):
    name = f"{outsiders}:length"
    assert score("5 to 9", SAMPLE, {"iou": 1.0, name: 2.0}) == {
        "score": 2.0,
        "iou": 1.0,
        name: 0.5,
        "parse_failure": 0.0,
    }


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("breaks", "failed on sample 'q1': KeyError: 'nope'"),
        ("nan", "returned nan for sample 'q1'"),
        ("word", "failed on sample 'q1': ValueError"),
    ],
)
def test_a_broken_reward_of_someone_else_raises(outsiders, function, message):
    with pytest.raises(RewardError, match=message):
        score("5 to 9", SAMPLE, {f"{outsiders}:{function}": 1.0})


def test_any_object_with_the_fields_can_be_graded():
    sample = SimpleNamespace(id="x", spans=(Span(5, 9),), duration=None, options=(), answer=None)
    assert score("5 to 9", sample, {"iou": 1.0})["score"] == 1.0


def test_a_parsed_answer_scores_like_its_text():
    text = "<answer>7 to 11</answer>"
    answer = parse(text, duration_seconds=30.0)
    assert score_answer(answer, SAMPLE, FEW) == score(text, SAMPLE, FEW)
    assert score_answer(Answer(), SAMPLE, {"iou": 1})["parse_failure"] == 1.0


def test_importing_the_rewards_is_light():
    program = (
        "import sys, temporal_plugin.rewards; "
        "print([m for m in ('torch', 'numpy', 'yaml', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("truth", [SAMPLE, ABSENT, GROUNDED, Truth("q", query="“é” {x} 视频")])
def test_the_truth_travels_as_text(truth):
    text = encode_truth(truth)
    assert isinstance(json.loads(text), dict)
    assert decode_truth(text) == truth


def test_a_truth_that_is_not_finite_cannot_be_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_truth(Truth("q", duration=math.inf))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5 to 9", "is not JSON"),
        (None, "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "must be a JSON object with at least 'id'"),
        ("{}", "must be a JSON object with at least 'id'"),
        ('{"id": 5}', "id is 5, but must be a string"),
        ('{"id": "q", "spans": [[9, 5]]}', r"'q': spans is \[\[9, 5\]\], but must be"),
        ('{"id": "q", "spans": [5, 9]}', "spans is"),
        ('{"id": "q", "spans": [["5", "9"]]}', "spans is"),
        ('{"id": "q", "duration": "30"}', "duration is '30'"),
        ('{"id": "q", "duration": NaN}', "duration is nan"),
        ('{"id": "q", "options": "AB"}', "options is 'AB'"),
        ('{"id": "q", "answer": 1}', "answer is 1"),
        ('{"id": "q", "colour": "red"}', "colour is 'red', an unknown field; allowed are id"),
    ],
)
def test_a_wrong_truth_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        decode_truth(text)
