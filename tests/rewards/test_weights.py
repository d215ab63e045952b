"""Options, weights by task, and equal keys in all rows of a run."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from temporal_plugin.answers import Truth
from temporal_plugin.rewards import REWARDS, resolve, score
from temporal_plugin.spans import Span

SPAN = (Span(5, 9),)
OPTIONS = ("red", "blue")
GROUNDING = Truth("g", spans=SPAN, duration=30.0)
CHOICE = Truth("c", task="choice", options=OPTIONS, answer="B")
GROUNDED = Truth(
    "gc", task="grounded_choice", spans=SPAN, duration=30.0, options=OPTIONS, answer="B"
)
OPEN = Truth("o", task="open", answer="It is red.")
BY_TASK = {
    "grounding": {"tiou": 1.0, "length": {"weight": 0.1, "max_chars": 5, "fade_chars": 0}},
    "choice": {"choice": 1.0, "format": 0.1},
    "grounded_choice": {"choice": 0.5, "iou": 0.5, "format": 0.1},
}


def test_a_reward_with_options():
    weights = {"iou": 1.0, "length": {"weight": 0.1, "max_chars": 4, "fade_chars": 0}}
    short = score("<think>abcd</think><answer>5 to 9</answer>", GROUNDING, weights)
    long = score("<think>abcde</think><answer>5 to 9</answer>", GROUNDING, weights)
    assert (short["length"], short["score"]) == (1.0, pytest.approx(1.1))
    assert (long["length"], long["score"]) == (0.0, 1.0)


def test_a_task_has_its_own_weights():
    grounding = score("<think>ab</think><answer>5 to 9</answer>", GROUNDING, BY_TASK)
    assert grounding["score"] == pytest.approx(1.1)
    choice = score("<answer>B</answer>", CHOICE, BY_TASK, contract="answer_choice")
    assert choice["score"] == pytest.approx(1.1)
    grounded = score("<answer>A</answer><glue>[(5, 9)]</glue>", GROUNDED, BY_TASK)
    assert (grounded["score"], grounded["choice"], grounded["iou"]) == (0.6, 0.0, 1.0)


def test_all_rows_have_the_same_keys_and_say_which_parts_they_have():
    rows = {
        sample.task: score("5 to 9, B", sample, BY_TASK) for sample in (GROUNDING, CHOICE, GROUNDED)
    }
    assert len({frozenset(row) for row in rows.values()}) == 1
    for task, row in rows.items():
        for name in ("tiou", "length", "choice", "iou", "format"):
            assert row[f"{name}_applies"] == float(name in BY_TASK[task])
            if name not in BY_TASK[task]:
                assert row[name] == 0.0


def test_a_part_of_all_tasks_needs_no_word_that_it_applies():
    weights = {task: {"format": 0.1, "iou": 1.0} for task in ("grounding", "grounded_choice")}
    assert set(score("5 to 9", GROUNDING, weights)) == {"score", "format", "iou", "parse_failure"}


def test_choice_is_a_task_and_a_reward():
    assert score("B", CHOICE, {"choice": {"weight": 2.0}})["score"] == 2.0
    assert score("B", CHOICE, {"choice": {"choice": 2.0}})["score"] == 2.0
    assert score("B", CHOICE, {"choice": {"choice": {"weight": 2.0}}})["score"] == 2.0


@pytest.mark.parametrize("weights", [BY_TASK, {"iou": 1.0, "dual": {"weight": 1.0}}])
def test_weights_as_hydra_gives_them(weights):
    text = "<think>he</think><answer>5 to 9</answer>"
    given = OmegaConf.create({"weights": weights}).weights
    assert score(text, GROUNDING, given) == score(text, GROUNDING, weights)


@pytest.mark.parametrize(
    ("weights", "sample", "message"),
    [
        (BY_TASK, OPEN, "sample 'o' is of the task 'open', and the weights are for grounding, ch"),
        ({"length": {"max_chars": 5}}, GROUNDING, r"options \{'max_chars': 5\} and no weight"),
        (
            {"length": {"weight": 1.0, "max": 5}},
            GROUNDING,
            "reward 'length' has no option 'max'; allowed are: weight, min_chars, max_chars, fade",
        ),
        ({"length": {"weight": "1"}}, GROUNDING, "finite numbers; that of 'length' is '1'"),
        ({"iou": None}, GROUNDING, "finite numbers; that of 'iou' is None"),
        ({"iou": -math.inf}, GROUNDING, "finite numbers; that of 'iou' is -inf"),
        ({"grounding": {}}, GROUNDING, "no reward weights given for the task 'grounding'"),
        ({"grounding": {"iuo": 1.0}}, GROUNDING, "reward 'iuo' is unknown"),
        ({"grounding": 1.0}, GROUNDING, "reward 'grounding' is unknown"),
        ({"grounding": {"iou": 1.0}, "iou": 1.0}, GROUNDING, "'grounding' has the options"),
        ({"dual": {"weight": 1.0, "combine": "or"}}, GROUNDING, "allowed are sum, product"),
        ({"dual": {"weight": 1.0, "overlap": "giou"}}, GROUNDING, "allowed are iou, iop, tiou"),
        ({"dual": {"weight": 1.0, "semantic": -1}}, GROUNDING, "semantic is -1; it must be 0"),
        (
            {"dual": {"weight": 1.0, "semantic": 0, "temporal": 0}},
            GROUNDED,
            "semantic and temporal are both 0",
        ),
        ({"grounded_choice": {"weight": 1.0, "threshold": -1}}, GROUNDED, "threshold is -1"),
        ({"repetition": {"weight": 1.0, "ngram": 0}}, GROUNDING, "ngram is 0; it must be 1 or"),
        ({"timestep_pair": {"weight": 1.0, "count": 0}}, GROUNDING, "count is 0"),
        ({"length": {"weight": 1.0, "min_chars": 9, "max_chars": 5}}, GROUNDING, "max_chars is 5"),
        (
            {"temporal_consistency": {"weight": 1.0, "unnamed": 2}},
            GROUNDING,
            "unnamed is 2; it must be 0.0 to 1.0",
        ),
        ({"temporal_consistency": {"weight": 1.0, "order_weight": "x"}}, GROUNDING, "is 'x'"),
    ],
)
def test_wrong_weights_and_options_are_our_mistake(weights, sample, message):
    with pytest.raises(ValueError, match=message):
        score("5 to 9, B", sample, weights)


def test_the_options_of_someone_else(tmp_path, monkeypatch):
    (tmp_path / "their_options.py").write_text(
        "def near(answer, sample, *, seconds=1.0):\n    return seconds\n"
        "def any_of(answer, sample, **options):\n    return float(len(options))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    near, many = "their_options:near", "their_options:any_of"
    assert score("5 to 9", GROUNDING, {near: {"weight": 2.0, "seconds": 3.0}})["score"] == 6.0
    assert score("5 to 9", GROUNDING, {many: {"weight": 1.0, "a": 1, "b": [2]}})[many] == 2.0
    with pytest.raises(ValueError, match="no option 'second'; allowed are: weight, seconds"):
        score("5 to 9", GROUNDING, {near: {"weight": 2.0, "second": 3.0}})
    resolve.cache_clear()


PIECES = ("<think>", "</think>", "<answer>", "</answer>", "<glue>[(", ")]</glue>", ", ", "\n")
PIECES += ("5", "9", "12", " to ", "B", "(A)", "<timestep>5 to 9</timestep>", "not there", "\ud800")
ANY = st.one_of(
    st.text(max_size=120),
    st.lists(
        st.sampled_from(PIECES),
        max_size=30,
    ).map("".join),
)


@settings(deadline=None, max_examples=200)
@given(ANY, st.sampled_from([GROUNDING, CHOICE, GROUNDED, OPEN, Truth("absent", duration=30.0)]))
def test_bounds_hold_for_any_text_and_sample(text, sample):
    row = score(text, sample, dict.fromkeys(REWARDS, 1.0), contract="think_answer")
    assert list(row) == ["score", *REWARDS, "parse_failure"]
    for name in REWARDS:
        assert type(row[name]) is float and 0.0 <= row[name] <= 1.0
    assert row["score"] == pytest.approx(sum(row[name] for name in REWARDS))
