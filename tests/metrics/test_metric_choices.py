"""Choices and grounded choices by hand."""

import pytest

from temporal_plugin.answers import REFUSAL, Answer, parse
from temporal_plugin.metrics import (
    CHOICE_KEYS,
    GROUNDED_CHOICE_KEYS,
    choice_item,
    grounded_choice_item,
)
from temporal_plugin.spans import Span

OPTIONS = ["a dog", "a cat", "a bird"]
TRUTH = (Span(10, 20), Span(40, 44))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", (1.0, 0.0, 0.0)),
        ("(B) a cat", (1.0, 0.0, 0.0)),
        ("A", (0.0, 0.0, 0.0)),
        ("", (0.0, 1.0, 0.0)),
        ("Because of that.", (0.0, 1.0, 0.0)),  # no first letter, no random guess
        ("Z", (0.0, 1.0, 0.0)),
    ],
)
def test_a_choice(text, expected):
    found = choice_item(parse(text, options=OPTIONS), "B")
    assert found == dict(zip(CHOICE_KEYS, expected, strict=True))


def test_a_refused_choice_is_no_parse_failure():
    assert choice_item(Answer(problem=REFUSAL), "B") == {
        "accuracy": 0.0,
        "parse_failure": 0.0,
        "refusal": 1.0,
    }


@pytest.mark.parametrize("letter", ["", "b", "BC", "1", None, "Ä"])
def test_a_wrong_key_is_our_mistake(letter):
    with pytest.raises(ValueError, match="one capital letter"):
        choice_item(Answer(choice="B"), letter)
    with pytest.raises(ValueError, match="one capital letter"):
        grounded_choice_item(Answer(choice="B"), TRUTH, letter)


def grounded(*spans, choice="B", problem=None):
    answer = Answer(spans=tuple(Span(*pair) for pair in spans), choice=choice, problem=problem)
    return grounded_choice_item(answer, TRUTH, "B")


def test_a_span_within_the_truth_has_a_full_iop():
    assert grounded((12, 16)) == {
        "accuracy": 1.0,
        "miou": 0.4,
        "r1@0.3": 1.0,
        "r1@0.5": 0.0,
        "miop": 1.0,
        "iop@0.3": 1.0,
        "iop@0.5": 1.0,
        "acc@gqa": 1.0,
        "acc@iou0.5": 0.0,
        "parse_failure": 0.0,
        "refusal": 0.0,
    }


def test_iou_and_iop_take_their_own_best_true_span():
    found = grounded((15, 42))
    assert found["miou"] == pytest.approx(5 / 32)  # with [10, 20]; 2 / 29 with [40, 44]
    assert found["miop"] == pytest.approx(5 / 27)  # with [10, 20]; 2 / 27 with [40, 44]
    apart = grounded_choice_item(
        Answer(spans=(Span(0, 10),), choice="B"), (Span(4, 10), Span(3, 30)), "B"
    )
    assert apart["miou"] == pytest.approx(0.6)
    assert apart["miop"] == pytest.approx(0.7)


def test_thresholds_are_met_exactly():
    assert grounded((10, 15))["r1@0.5"] == 1.0
    assert grounded((10, 13))["r1@0.3"] == 1.0
    assert grounded((5, 15))["iop@0.5"] == grounded((5, 15))["acc@gqa"] == 1.0
    assert grounded((10, 15))["acc@iou0.5"] == 1.0


def test_the_first_span_counts():
    assert grounded((40, 44), (0, 1))["miou"] == 1.0
    assert grounded((0, 1), (40, 44))["miou"] == 0.0


def test_every_true_span_alone_is_a_gold_answer():
    for true in TRUTH:
        found = grounded((true.start_seconds, true.end_seconds))
        assert all(found[key] == 1.0 for key in GROUNDED_CHOICE_KEYS[:-2])
    assert grounded(*((t.start_seconds, t.end_seconds) for t in TRUTH))["acc@gqa"] == 1.0


def test_a_moment_lies_in_the_truth_or_not():
    assert (grounded((12, 12))["miop"], grounded((12, 12))["miou"]) == (1.0, 0.0)
    assert grounded((20, 20))["miop"] == 1.0  # the benchmark takes both ends in
    assert grounded((21, 21))["miop"] == 0.0


def test_a_wrong_choice_keeps_its_grounding():
    found = grounded((10, 20), choice="A")
    assert (found["accuracy"], found["acc@gqa"], found["acc@iou0.5"]) == (0.0, 0.0, 0.0)
    assert found["miou"] == found["miop"] == 1.0


def test_half_an_answer_is_scored_and_counted():
    found = grounded(choice="B")
    assert (found["accuracy"], found["miou"], found["parse_failure"]) == (1.0, 0.0, 1.0)
    found = grounded((10, 20), choice=None)
    assert (found["accuracy"], found["miou"], found["parse_failure"]) == (0.0, 1.0, 1.0)
    found = grounded(choice="B", problem=REFUSAL)
    assert (found["parse_failure"], found["refusal"]) == (0.0, 1.0)


def test_a_grounded_choice_needs_a_truth():
    with pytest.raises(ValueError, match="truth holds no span"):
        grounded_choice_item(Answer(), (), "B")
