"""Grounding by hand: thresholds, unions, failures."""

import pytest

from temporal_plugin.answers import Answer, parse
from temporal_plugin.answers.model import DECLINED
from temporal_plugin.metrics import GROUNDING_KEYS, grounding_item
from temporal_plugin.spans import Span

TRUTH = (Span(0, 10),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 to 10", (1.0, 1.0, 1.0, 1.0, 0.0, 0.0)),
        ("0 to 7", (0.7, 1.0, 1.0, 1.0, 0.0, 0.0)),  # a threshold that is met exactly counts
        ("0 to 5", (0.5, 1.0, 1.0, 0.0, 0.0, 0.0)),
        ("0 to 3", (0.3, 1.0, 0.0, 0.0, 0.0, 0.0)),
        ("0 to 2", (0.2, 0.0, 0.0, 0.0, 0.0, 0.0)),
        ("20 to 30", (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
        ("10 to 0", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ("B", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ("", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ("NaN to 5 s", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ("我不知道", (0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ("The event does not occur.", (0.0, 0.0, 0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_an_item(text, expected):
    found = grounding_item(parse(text), TRUTH)
    assert found == dict(zip(GROUNDING_KEYS, expected, strict=True))


def test_several_spans_count_as_their_union():
    answer = Answer(spans=(Span(0, 4), Span(3, 5)))
    assert grounding_item(answer, TRUTH)["miou"] == 0.5
    halves = (Span(0, 2), Span(4, 6))
    assert grounding_item(Answer(spans=halves[::-1]), halves)["miou"] == 1.0


def test_a_span_beside_a_refusal_is_an_answer():
    found = grounding_item(Answer(spans=(Span(0, 10),), problem="refusal"), TRUTH)
    assert (found["miou"], found["refusal"]) == (1.0, 0.0)


def test_declining_to_answer_is_a_parse_failure():
    found = grounding_item(Answer(problem=DECLINED), TRUTH)
    assert (found["parse_failure"], found["refusal"]) == (1.0, 0.0)


def test_an_item_without_truth_is_our_mistake():
    with pytest.raises(ValueError, match="truth holds no span"):
        grounding_item(Answer(), ())
