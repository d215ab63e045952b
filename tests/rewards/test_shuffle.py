"""Whether an answer follows the order of time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.answers import Answer, Truth, parse
from temporal_plugin.rewards import mirrored, order_sensitivity, shuffle_consistency
from temporal_plugin.spans import Span

OPTIONS = ("red", "blue")
SAMPLE = Truth("q", spans=(Span(2, 6),), duration=20.0)
CHOICE = Truth("c", task="choice", options=OPTIONS, answer="B")
GROUNDED = Truth("gc", "grounded_choice", (Span(2, 6),), 20.0, OPTIONS, "B")


def says(*spans, choice=None):
    return Answer(tuple(Span(*span) for span in spans), choice)


def test_times_under_reversal():
    assert mirrored((Span(2, 6), Span(0, 20)), 20.0) == (Span(14, 18), Span(0, 20))
    assert mirrored((Span(2, 25), Span(30, 40)), 20.0) == (Span(0, 18),)
    assert mirrored((), 20.0) == ()


@pytest.mark.parametrize(
    ("first", "second", "reversed_", "shuffled"),
    [
        (says((2, 6)), says((14, 18)), 1.0, 1.0),  # follows the video
        (says((2, 6)), says((2, 6)), 0.0, 0.0),  # does not
        (says((2, 6)), says((4, 6)), 0.5, 0.5),
        (says((8, 12)), says((8, 12)), 1.0, 0.0),  # the middle stays the middle
        (says((6, 12)), says((6, 12)), 0.0, 0.0),
        (says((2, 6)), Answer(problem="refusal"), 1.0, 1.0),
        (says((2, 6)), Answer(problem="no time found"), 1.0, 1.0),
        (Answer(problem="refusal"), says((2, 6)), 0.0, 0.0),
    ],
)
def test_sensitivity(first, second, reversed_, shuffled):
    assert order_sensitivity(first, second, SAMPLE, order="reversed") == pytest.approx(reversed_)
    assert order_sensitivity(first, second, SAMPLE, order="shuffled") == pytest.approx(shuffled)


def test_sensitivity_of_a_choice():
    for second, expected in ((says(choice="A"), 1.0), (says(choice="B"), 0.0), (Answer(), 1.0)):
        assert order_sensitivity(says(choice="B"), second, CHOICE) == expected
        assert order_sensitivity(says((2, 6)), second, CHOICE) == 0.0


def test_consistency_counts_right_answers_only():
    good, half, wrong, there = says((2, 6)), says((2, 4)), says((10, 12)), says((14, 18))
    values = [shuffle_consistency(first, there, SAMPLE) for first in (good, half, wrong)]
    assert values == [1.0, 0.5, 0.0]
    assert shuffle_consistency(good, good, SAMPLE) == 0.0
    assert shuffle_consistency(says(choice="B"), says(choice="A"), CHOICE) == 1.0
    assert shuffle_consistency(says(choice="A"), says(choice="B"), CHOICE) == 0.0
    both = says((2, 6), choice="B")
    assert shuffle_consistency(both, there, GROUNDED) == 1.0
    assert shuffle_consistency(says((2, 6), choice="A"), there, GROUNDED) == 0.0


def test_what_has_no_order_scores_nothing():
    refusal = parse("The event does not occur.")
    assert shuffle_consistency(refusal, refusal, Truth("absent", duration=20.0)) == 0.0
    words = parse("He leaves.", contract="answer_text")
    assert shuffle_consistency(words, words, Truth("o", task="open", answer="He leaves.")) == 0.0


def test_a_gold_answer_that_follows_the_video_scores_one():
    rng = random.Random(0)
    for _ in range(10_000):
        start = rng.randint(0, 18)
        sample = Truth("q", spans=(Span(start, rng.randint(start + 1, 20)),), duration=20.0)
        gold = Answer(sample.spans)
        changed = Answer(mirrored(sample.spans, 20.0))
        assert shuffle_consistency(gold, changed, sample) == pytest.approx(1.0)


def test_sensitivity_equals_counting_seconds():
    rng = random.Random(1)

    def seconds(spans):
        return {t for s in spans for t in range(int(s.start_seconds), int(s.end_seconds))}

    def iou(a, b):
        return len(a & b) / len(a | b)

    for _ in range(10_000):
        first, second = (
            tuple(
                Span(start, rng.randint(start + 1, 20))
                for start in (rng.randint(0, 19) for _ in range(rng.randint(1, 2)))
            )
            for _ in range(2)
        )
        one, other = seconds(first), seconds(second)
        own = iou(one, {19 - t for t in one})
        stayed = iou(one, other)
        expected = 1.0 if own == 1 else 1 - max(0, stayed - own) / (1 - own)
        found = order_sensitivity(Answer(first), Answer(second), SAMPLE)
        assert found == pytest.approx(expected, abs=1e-9)
        shuffled = order_sensitivity(Answer(first), Answer(second), SAMPLE, order="shuffled")
        assert shuffled == pytest.approx(1 - stayed)


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from([SAMPLE, CHOICE, GROUNDED]))
def test_bounds_hold_for_any_text(first, second, sample):
    answers = [
        parse(text, options=sample.options or None, duration_seconds=sample.duration)
        for text in (f"{first} 3 to 5", second)
    ]
    for order in ("reversed", "shuffled"):
        assert 0.0 <= shuffle_consistency(*answers, sample, order=order) <= 1.0


def test_wrong_settings_are_our_mistake():
    with pytest.raises(ValueError, match="order is 'mixed'; allowed are reversed, shuffled"):
        order_sensitivity(says((2, 6)), says((2, 6)), SAMPLE, order="mixed")
    endless = Truth("q9", spans=(Span(2, 6),))
    with pytest.raises(ValueError, match=r"'q9' has no duration; .* or use 'order=shuffled'"):
        order_sensitivity(says((2, 6)), says((2, 6)), endless)
    assert order_sensitivity(says((2, 6)), says((2, 6)), endless, order="shuffled") == 0.0
