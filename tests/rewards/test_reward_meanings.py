"""Gold answers score the maximum; what single rewards say of telling cases; hostile text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.answers import CONTRACTS, Answer, Truth, named_spans, render
from temporal_plugin.rewards import REWARDS, score
from temporal_plugin.rewards.model import task_of, true_choice
from temporal_plugin.spans import Span

ONE, TWO = (Span(5, 9),), (Span(5, 9), Span(12, 15))
OPTIONS = ("red", "blue")
SAMPLES = {
    "grounding": Truth("g", spans=ONE, duration=30.0, query="the man jumps"),
    "grounding, two": Truth("g2", spans=TWO, duration=30.0),
    "grounding, moment": Truth("m", spans=(Span(5, 5),), duration=30.0),
    "choice": Truth("c", task="choice", options=OPTIONS, answer="B"),
    "grounded_choice": Truth(
        "gc", task="grounded_choice", spans=TWO, duration=30.0, options=OPTIONS, answer="B"
    ),
    "open": Truth("o", task="open", answer="It is red."),
    "absent": Truth("a", duration=30.0, query="a dog sings"),
}
TEXT_ONLY = {"format", "length", "repetition", "timestep_pair"}
APPLY = {
    "grounding": {"iou", "tiou", "iop", "matched_iou", "dual", "temporal_consistency"},
    "absent": {"iou", "tiou", "iop", "matched_iou", "dual", "temporal_consistency"},
    "choice": {"choice", "dual"},
    "grounded_choice": set(REWARDS),
    "open": set(),
}


def contracts_for(sample):
    """The contracts in which the sample's truth can be said."""
    wanted = {"open": (True, False, False), "choice": (False, True, False)}
    wanted |= {"grounded_choice": (False, True, True), "grounding": (False, False, True)}
    for name, shape in CONTRACTS.items():
        if len(sample.spans) > 1 and name in ("think_time", "think_answer_json"):
            continue  # they hold one span
        says = shape.asks_text, shape.asks_choice, shape.asks_spans
        if says == wanted[sample.task] or (
            name == "free" and sample.task in ("grounding", "choice")
        ):
            yield name


def applies(reward, kind, contract, sample):
    thinks = contract.startswith("think")
    if reward in ("timestep_pair", "temporal_consistency") and not thinks and sample.spans:
        return False  # without a reasoning there is nothing that could support the answer
    if reward == "timestep_pair":
        return thinks
    return reward in TEXT_ONLY or reward in APPLY[kind.split(",")[0]]


GOLD = [
    (kind, contract, reward)
    for kind, sample in SAMPLES.items()
    for contract in contracts_for(sample)
    for reward in REWARDS
    if applies(reward, kind, contract, sample)
]


@pytest.mark.parametrize(("kind", "contract", "reward"), GOLD)
def test_a_gold_answer_scores_the_maximum(kind, contract, reward):
    sample = SAMPLES[kind]
    told = " and ".join(
        f"<timestep>{s.start_seconds} to {s.end_seconds}</timestep>" for s in sample.spans or ONE
    )
    text = render(
        contract,
        spans=sample.spans,
        choice=sample.answer,
        text=sample.answer,
        reasoning=f"He jumps: {told}." if contract.startswith("think") else "",
    )
    row = score(text, sample, {reward: 1.0}, contract=contract)
    assert (row["score"], row[reward]) == (1.0, 1.0)


seconds = st.integers(0, 500_000).map(lambda n: n / 100)
some_spans = st.lists(st.tuples(seconds, seconds), min_size=1, max_size=4, unique=True)


@settings(deadline=None)
@given(some_spans)
def test_any_true_spans_said_and_reasoned_score_the_maximum(pairs):
    spans = tuple(sorted({Span(*sorted(pair)) for pair in pairs}))
    sample = Truth("q", spans=spans, duration=max(s.end_seconds for s in spans) + 1.0)
    told = ". Then ".join(f"from {s.start_seconds:.2f} to {s.end_seconds:.2f}" for s in spans)
    text = render("think_answer", spans=spans, reasoning=f"{told}.")
    row = score(text, sample, dict.fromkeys(APPLY["grounding"], 1.0), contract="think_answer")
    for reward in APPLY["grounding"]:
        assert row[reward] == pytest.approx(1.0), reward


@pytest.mark.parametrize("reward", sorted(APPLY["absent"]))
def test_saying_that_an_absent_event_is_absent_scores_one_and_a_span_nothing(reward):
    sample = SAMPLES["absent"]
    assert score("The event does not occur.", sample, {reward: 1.0})[reward] == 1.0
    assert score("<answer>5 to 9</answer>", sample, {reward: 1.0})[reward] == 0.0
    assert score("I do not know.", sample, {reward: 1.0})[reward] == 0.0


@pytest.mark.parametrize("kind", ["choice", "open"])
def test_a_refusal_earns_no_time_where_none_is_asked(kind):
    row = score("The event does not occur.", SAMPLES[kind], dict.fromkeys(REWARDS, 1.0))
    assert all(row[name] == 0.0 for name in set(REWARDS) - TEXT_ONLY)


@pytest.mark.parametrize("reward", ["tiou", "dual", "grounded_choice"])
def test_a_missing_duration_is_our_mistake_where_it_is_needed(reward):
    sample = Truth("q7", "grounded_choice", ONE, None, OPTIONS, "B")
    options = {} if reward == "tiou" else {"overlap": "tiou"}
    with pytest.raises(ValueError, match=f"reward '{reward}': sample 'q7' has no duration"):
        score("x", sample, {reward: {"weight": 1.0, **options}})


def test_missing_spans_cost_by_length_in_iou_and_by_number_in_matched_iou():
    sample = Truth("q", spans=(Span(0, 98), Span(100, 102)), duration=200.0)
    row = score("0 to 98", sample, {"iou": 1.0, "matched_iou": 1.0})
    assert (row["iou"], row["matched_iou"]) == (0.98, 0.5)
    row = score("0 to 102", sample, {"iou": 1.0, "matched_iou": 1.0})
    assert row["iou"] == pytest.approx(100 / 102)
    assert row["matched_iou"] == pytest.approx(98 / 102 / 2)
    assert score("0 to 98", sample, {"iop": 1.0})["iop"] == 1.0


def test_acc_at_gqa_needs_letter_and_time():
    sample = SAMPLES["grounded_choice"]
    half = "<answer>{}</answer><glue>[(7, 11)]</glue>"
    for letter, expected in (("B", 1.0), ("A", 0.0)):
        row = score(half.format(letter), sample, {"grounded_choice": 1.0})
        assert row["grounded_choice"] == expected  # IoP 0.5
    strict = {"grounded_choice": {"weight": 1.0, "overlap": "iou"}}
    assert score(half.format("B"), sample, strict)["grounded_choice"] == 0.0


def think(reasoning, answer="5 to 9"):
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("reasoning", "answer", "expected"),
    [
        ("He jumps from 5 to 9.", "5 to 9", 1.0),
        ("", "5 to 9", 0.0),
        ("He jumps somewhere.", "5 to 9", 0.0),
        ("It is all there from 0 to 30.", "5 to 9", 4 / 30),
        ("First 1 to 3, not there. Then from 5 to 9 he jumps.", "5 to 9", 1.0),
        ("He bends from 5 to 7 and leaps from 7 to 9.", "5 to 9", 1.0),
        ("He leaps from 7 to 9 and bends from 5 to 7.", "5 to 9", 0.5),
        ("He jumps from 5 to 9.", "12 to 15", 0.0),
        ("He jumps from 5 to 9 and from 12 to 15.", "5 to 9 and 12 to 15", 1.0),
        ("He jumps from 5 to 9.", "5 to 9 and 12 to 15", 0.5),
        ("He jumps from 5 to 9.", "never", 0.0),
        ("In 2019 to 2021 he trained. He jumps from 5 to 9.", "5 to 9", 1.0),
    ],
)
def test_the_reasoning_must_support_the_answer(reasoning, answer, expected):
    row = score(think(reasoning, answer), SAMPLES["grounding"], {"temporal_consistency": 1.0})
    assert row["temporal_consistency"] == pytest.approx(expected)


def test_a_reasoning_without_times_scores_what_the_recipe_says():
    weights = {"temporal_consistency": {"weight": 1.0, "unnamed": 0.25, "order_weight": 0.0}}
    sample = SAMPLES["grounding"]
    assert score(think("He jumps."), sample, weights)["score"] == 0.25
    assert score(think("He jumps.", "x"), sample, weights)["score"] == 0.0
    backwards = think("He leaps from 7 to 9 and bends from 5 to 7.")
    assert score(backwards, sample, weights)["score"] == 1.0


def test_named_ranges():
    text = "At 3 s he walks, 5 to 9; again 5 to 9, 20 to 15, -3 to 4, 00:12 to 00:15, 40 to 50."
    assert named_spans(text, duration_seconds=30.0) == (Span(5, 9), Span(12, 15))
    assert named_spans("") == ()
    assert len(named_spans(" ".join(f"from {i} to {i + 1}." for i in range(500)))) == 64


@pytest.mark.parametrize(
    ("reasoning", "count", "expected"),
    [
        ("<timestep>5 to 9</timestep>", 1, 1.0),
        ("<timestep> 5.25s to 9.5s </timestep>", 1, 1.0),
        ("<timestep>5 to 9</timestep>", 2, 0.5),
        ("<timestep>5 to 9</timestep> <timestep>5 to 9</timestep> x", 2, 1.0),
        ("<timestep>5-9</timestep>", 1, 0.0),
        ("<timestep><timestep>5 to 9</timestep>", 1, 1.0),
        ("5 to 9</timestep>", 1, 0.0),
        ("<timestep>5 to 9", 1, 0.0),
    ],
)
def test_timestep_pairs(reasoning, count, expected):
    weights = {"timestep_pair": {"weight": 1.0, "count": count}}
    assert score(think(reasoning), SAMPLES["grounding"], weights)["score"] == expected


@pytest.mark.parametrize(("chars", "expected"), [(0, 0), (5, 0.5), (10, 1), (20, 1), (24, 0.6)])
def test_length_rises_stays_and_falls(chars, expected):
    weights = {"length": {"weight": 1.0, "min_chars": 10, "max_chars": 20, "fade_chars": 10}}
    assert score(think("x" * chars), SAMPLES["grounding"], weights)["score"] == expected


def test_repeated_words_cost():
    weights = {"repetition": {"weight": 1.0, "ngram": 2}}
    for reasoning, expected in (("a b c", 1.0), ("a b a b a", 0.5), ("A b a B A", 0.5), ("a", 1.0)):
        assert score(think(reasoning), SAMPLES["grounding"], weights)["score"] == expected
    unfinished = "<think>" + "and so on " * 1000
    assert score(unfinished, SAMPLES["grounding"], weights)["repetition"] < 0.01


def test_the_task_is_told_from_the_truth_where_it_is_not_named():
    class Row:
        id, spans, duration, options, answer = "q", ONE, None, (), None

    row = Row()
    assert task_of(row) == "grounding"
    row.options, row.answer = OPTIONS, "(B) blue"
    assert (task_of(row), true_choice(row)) == ("grounded_choice", "B")
    row.spans = ()
    assert task_of(row) == "choice"
    row.options = ()
    assert (task_of(row), true_choice(row)) == ("open", None)


HOSTILE = ["<timestep>", "</timestep>", "<timestep>5 to ", "5 to 9, ", "a ", "a", "5 ", "<think>"]


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_megabyte_of_reasoning_takes_little_time(unit):
    text = think(unit * (1_000_000 // len(unit)))
    sample = SAMPLES["grounding"]
    began = time.process_time()
    score(text, sample, dict.fromkeys(REWARDS, 1.0), contract="think_answer")
    assert time.process_time() - began < 3.0  # measured: 0.3 at most, on an idle core


def test_many_spans_take_little_time():
    spans = tuple(Span(i, i + 1) for i in range(2000))
    answer = Answer(spans, "B", " ".join(f"from {i} to {i + 1}." for i in range(500)))
    began = time.process_time()
    for reward in REWARDS.values():
        reward(answer, SAMPLES["grounded_choice"])
    assert time.process_time() - began < 2.0
