"""The reward of a search: gold scores the maximum, luck and broken judges earn nothing."""

import asyncio
import time

import pytest
from openai_server import Fault

from temporal_plugin.answers import Truth, encode_truth
from temporal_plugin.integrations.open_answers import PatientJudge, judge_of, same_words
from temporal_plugin.integrations.verl_search_reward import JUDGE_COUNTERS, compute_score
from temporal_plugin.rewards.search import PARTS
from temporal_plugin.search.conversation import COUNTERS
from temporal_plugin.spans import Span

CHOICE = Truth("c", "choice", query="What?", duration=60.0, options=("a ball", "a car"), answer="B")
SPAN = Truth("g", "grounding", (Span(10.0, 20.0),), 60.0, query="it falls")
OPEN = Truth("o", "open", query="What is red?", duration=60.0, answer="a red car")
THOUGHT = "<think>hm</think>"
CONTRACTS = {"choice": "answer_choice", "grounding": "answer", "open": "answer_text"}
GOLD = {"choice": "B", "grounding": "10.00 to 20.00", "open": "a red car"}
COUNTS = {**dict.fromkeys(COUNTERS, 0.0), "searches": 2.0, "turns": 3.0, "answered": 1.0}
MATCH = {"fallback": "match"}


def info(truth, answer, verified=None, *, well_formed=True, **counts):
    contract = CONTRACTS[truth.task]
    second = None if verified is None else f"<answer>{verified}</answer>"
    return {
        "contract": f"think_{contract}",
        "search": {
            "answer": f"{THOUGHT}<answer>{answer}</answer>" if answer else "",
            "well_formed": well_formed,
            "verified": None if second is None else {"text": second, "contract": contract},
            "counters": {**COUNTS, **counts},
        },
    }


def scored(truth, found, **settings) -> dict[str, float]:
    return asyncio.run(compute_score("s", "unused", encode_truth(truth), found, **settings))


@pytest.mark.parametrize("truth", [CHOICE, SPAN, OPEN])
@pytest.mark.parametrize(("variant", "most"), [("code", 2.0), ("paper", 3.0)])
def test_gold_scores_the_maximum(truth, variant, most):
    gold = GOLD[truth.task]
    row = scored(truth, info(truth, gold, gold), variant=variant, judge=MATCH)
    assert [row[part] for part in PARTS] == [1.0, 1.0, 1.0]
    assert row["score"] == most
    assert row["acc"] == row["verified_accuracy"] == 1.0


@pytest.mark.parametrize("truth", [CHOICE, SPAN, OPEN])
def test_all_rows_have_the_same_keys(truth):
    gold = GOLD[truth.task]
    rows = [
        scored(truth, info(truth, gold, gold), judge=MATCH),
        scored(truth, info(truth, ""), judge=MATCH),
        scored(truth, info(truth, gold), judge=MATCH),
        scored(truth, {"contract": "answer", "video_failure": 1.0}, judge=MATCH),
        scored(truth, None, judge=MATCH),
    ]
    assert len({tuple(sorted(row)) for row in rows}) == 1
    assert {*COUNTERS, *JUDGE_COUNTERS, *PARTS, "score", "acc", "video_failure"} <= set(rows[0])
    assert all(type(value) is float for row in rows for value in row.values())
    assert rows[0]["searches"] == 2.0
    assert rows[3]["video_failure"] == 1.0
    assert rows[3]["score"] == rows[4]["score"] == 0.0


def test_who_never_searched_earns_no_completeness():
    row = scored(CHOICE, info(CHOICE, "B"))
    assert (row["accuracy"], row["completeness"]) == (1.0, 0.0)


def test_no_answer_earns_nothing_even_with_a_right_second_one():
    row = scored(CHOICE, info(CHOICE, "", "B", well_formed=False))
    assert row["score"] == 0.0
    assert row["verified_accuracy"] == 1.0


@pytest.mark.parametrize("answer", ["(B)", "B.", "Answer: B", "a car", "B) a car", "\\boxed{B}"])
def test_a_choice_may_be_written_in_many_ways(answer):
    assert scored(CHOICE, info(CHOICE, answer))["accuracy"] == 1.0


@pytest.mark.parametrize("answer", ["A man in black", "I don't know", "Both", "a ball", "C", "A"])
def test_a_wrong_or_empty_choice_earns_nothing_though_both_answers_agree(answer):
    row = scored(CHOICE, info(CHOICE, answer, answer))
    assert row["accuracy"] == row["completeness"] == 0.0


@pytest.mark.parametrize(("answer", "letter"), [("A man in black", "A"), ("I don't know", "I")])
def test_a_word_that_is_also_a_letter_is_no_choice(answer, letter):
    options = tuple(f"number {n}" for n in range(10))
    truth = Truth("c", "choice", options=options, answer=letter, duration=9.0)
    assert scored(truth, info(truth, answer, answer))["accuracy"] == 0.0
    assert scored(truth, info(truth, letter))["accuracy"] == 1.0


def test_grounding_is_graded_by_overlap():
    row = scored(SPAN, info(SPAN, "10 to 18", "10 to 16"), variant="paper")
    assert row["accuracy"] == pytest.approx(0.8)
    assert row["completeness"] == pytest.approx(0.6)
    assert scored(SPAN, info(SPAN, "10 to 18", "10 to 16"))["completeness"] == 1.0


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (info(CHOICE, "B", "B"), 1.0),
        (info(CHOICE, "B", "B", well_formed=False), 0.0),
        (info(CHOICE, "who knows"), 0.0),
        (info(CHOICE, ""), 0.0),
    ],
)
def test_format(found, value):
    assert scored(CHOICE, found)["format"] == value


# open answers and their judge -------------------------------------------------------------------


def judged(truth, found, url, **settings):
    patience = {"timeout_seconds": 0.5, "retries": 1, "deadline_seconds": 5.0, **settings}
    return scored(truth, found, judge={"model": "judge", "base_url": url, **patience})


def test_an_open_answer_is_judged_once_for_equal_answers(openai_server):
    server = openai_server(lambda body, number: "1")
    row = judged(OPEN, info(OPEN, "the car", "the car"), server.url)
    assert (row["accuracy"], row["completeness"], row["judge_asked"]) == (1.0, 1.0, 2.0)
    assert row["judge_failures"] == 0.0
    assert len(server.bodies) == 1


def test_judgements_outlive_the_process(openai_server, tmp_path):
    server = openai_server(lambda body, number: "1")
    for timeout in (0.5, 0.6):  # other settings: another judge, as in another process
        found = info(OPEN, "the car")
        row = judged(OPEN, found, server.url, cache=str(tmp_path), timeout_seconds=timeout)
        assert row["accuracy"] == 1.0
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "reply",
    [
        lambda body, number: Fault(500),
        lambda body, number: "maybe",
        lambda body, number: "Judgement: 1",
        lambda body, number: "",
        lambda body, number: Fault(200, b"<html>"),
        lambda body, number: Fault(200, b"{}"),
        lambda body, number: Fault(500, delay_seconds=1.0),
    ],
    ids=["500", "babble", "almost", "empty", "html", "nothing", "slow"],
)
def test_a_broken_judge_is_counted_and_rewards_nobody(openai_server, reply):
    server = openai_server(reply)
    row = judged(OPEN, info(OPEN, "a red car", "a red car"), server.url, retries=0)
    assert row["accuracy"] == row["completeness"] == 0.0
    assert row["judge_failures"] == row["judge_asked"] == 2.0
    assert row["judge_fallbacks"] == 0.0
    row = judged(OPEN, info(OPEN, "A red car!"), server.url, retries=0, fallback="match")
    assert (row["accuracy"], row["judge_fallbacks"]) == (1.0, 1.0)
    row = judged(OPEN, info(OPEN, "a blue car"), server.url, retries=0, fallback="match")
    assert (row["accuracy"], row["judge_fallbacks"]) == (0.0, 1.0)


def test_errors_half_the_time_cost_retries_only(openai_server):
    server = openai_server(lambda body, number: Fault(500) if number % 2 == 0 else "1")
    rows = [judged(OPEN, info(OPEN, f"car {n}"), server.url, retries=3) for n in range(4)]
    assert [row["accuracy"] for row in rows] == [1.0] * 4
    assert sum(row["judge_failures"] for row in rows) == 0.0
    assert len(server.bodies) == 8


def test_nobody_waits_longer_than_the_deadline(openai_server):
    server = openai_server(lambda body, number: Fault(500, delay_seconds=3.0))
    begin = time.monotonic()
    row = judged(OPEN, info(OPEN, "car"), server.url, timeout_seconds=30.0, deadline_seconds=0.3)
    assert time.monotonic() - begin < 2.5
    assert row["judge_failures"] == 1.0


def test_a_dead_judge_is_left_alone_after_a_while():
    """Nothing listens there: after `give_up_after` failures nobody waits for it any more."""
    settings = {"give_up_after": 2, "retries": 0, "pause_seconds": 60.0}
    rows = [
        judged(OPEN, info(OPEN, f"car {n}"), "http://127.0.0.1:9/v1", **settings) for n in range(6)
    ]
    assert [row["judge_failures"] for row in rows] == [1.0] * 6
    begin = time.monotonic()
    judged(OPEN, info(OPEN, "another car"), "http://127.0.0.1:9/v1", **settings)
    assert time.monotonic() - begin < 0.5


def test_an_empty_answer_is_not_judged(openai_server):
    server = openai_server(lambda body, number: "1")
    row = judged(OPEN, info(OPEN, " "), server.url)
    assert (row["accuracy"], row["judge_asked"]) == (0.0, 0.0)
    assert not server.bodies


def test_verls_own_reward_model_is_asked_at_its_router(openai_server):
    server = openai_server(lambda body, number: "1")
    address = server.url.removeprefix("http://").removesuffix("/v1")
    row = scored(
        OPEN,
        info(OPEN, "car"),
        judge={"model": "/models/judge", "timeout_seconds": 5.0},
        reward_router_address=address,
        reward_model_tokenizer=object(),
    )
    assert row["accuracy"] == 1.0
    assert server.bodies[0]["model"] == "/models/judge"


@pytest.mark.parametrize(
    ("judge", "says"),
    [
        (None, "needs a judge"),
        ({"model": "m"}, "nobody serves it"),
        ({"url": "x"}, r"unknown setting judge.url; allowed: model, base_url"),
        ({"fallback": "one"}, "use one of: zero, match"),
        ({"deadline_seconds": 0}, "must be above 0"),
    ],
)
def test_wrong_judge_settings(judge, says):
    with pytest.raises(ValueError, match=says):
        scored(OPEN, info(OPEN, "car"), judge=judge)


def test_choices_need_no_judge():
    assert scored(CHOICE, info(CHOICE, "B"))["accuracy"] == 1.0


def test_equal_settings_are_one_judge():
    assert judge_of(MATCH) is judge_of(dict(MATCH))
    assert isinstance(judge_of(MATCH), PatientJudge)


@pytest.mark.parametrize(
    ("truth", "answer", "same"),
    [
        ("a red car", "A red  car.", True),
        ("a red car", "a car", False),
        ("", "", False),
        ("?", "!", False),
        ("a", "a" * 10**6, False),
    ],
)
def test_same_words(truth, answer, same):
    assert same_words(truth, answer) is same
