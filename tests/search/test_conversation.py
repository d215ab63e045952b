import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tool import frames

from temporal_plugin import prompts
from temporal_plugin.answers import Truth, parse
from temporal_plugin.search import turns
from temporal_plugin.search.conversation import (
    COUNTERS,
    SEARCH_PROMPTS,
    VERIFY_PROMPTS,
    Call,
    Conversation,
    FinalAnswer,
    Limits,
    Malformed,
    ToolCall,
    parse_turn,
    verify_messages,
)
from temporal_plugin.search.tool import TOOL

THOUGHT = "<think>hm</think>"
ANSWER = f"{THOUGHT}<answer>B</answer>"
SAMPLE = Truth("q", "choice", query="what is red?", duration=60.0, options=("a", "b"), answer="B")


def call(**arguments) -> str:
    body = json.dumps({"name": TOOL, "arguments": {"query": "a red car", **arguments}})
    return f"{THOUGHT}<tool_call>{body}</tool_call>"


def talk(**limits) -> Conversation:
    messages = prompts.load("search_choice").messages(SAMPLE)
    return Conversation(
        messages,
        duration_seconds=60.0,
        contract="think_answer_choice",
        limits=Limits(**limits),
    )


def text_of(messages) -> str:
    return " ".join(part.get("text", "") for m in messages for part in m["content"])


# one turn ---------------------------------------------------------------------------------------


def test_a_call():
    turn = parse_turn(call(num_frames=2))
    assert turn == ToolCall(TOOL, {"query": "a red car", "num_frames": 2}, True)


def test_an_answer():
    assert parse_turn(ANSWER) == FinalAnswer(ANSWER, True)


@pytest.mark.parametrize(
    ("text", "thinks"),
    [
        (call(), True),
        (call() + "\n", True),
        (call().removeprefix(THOUGHT), False),
        (ANSWER, True),
        ("<answer>B</answer>", False),
    ],
)
def test_well_formed(text, thinks):
    assert parse_turn(text, thinks=thinks).well_formed
    assert not parse_turn(text, thinks=not thinks).well_formed


@pytest.mark.parametrize(
    "text",
    [
        "so " + call(),
        call() + "<think>more</think>" + call(),
        call().replace("</tool_call>", ""),
        call().replace("</think>", ""),
        ANSWER + " indeed",
        ANSWER.replace("</answer>", ""),
        ANSWER + "<answer>C</answer>",
    ],
)
def test_understood_but_not_well_formed(text):
    turn = parse_turn(text)
    assert isinstance(turn, (ToolCall, FinalAnswer))
    assert not turn.well_formed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", turns.EMPTY),
        (" \n", turns.EMPTY),
        (None, turns.EMPTY),
        ("The answer is B.", turns.NEITHER),
        (f"<think>{call()} <answer>B</answer></think>", turns.NEITHER),
        (call() + "<answer>B</answer>", turns.BOTH),
        (call() + call().removeprefix(THOUGHT), turns.SEVERAL),
        ("<tool_call>seek</tool_call>", turns.BAD_JSON),
        ('<tool_call>{"name": "seek_video_fr', turns.BAD_JSON),
        ("<tool_call>null</tool_call>", turns.BAD_JSON),
        ("<tool_call>[1]</tool_call>", turns.NO_NAME),
        ('<tool_call>{"arguments": {}}</tool_call>', turns.NO_NAME),
        ('<tool_call>{"name": 3}</tool_call>', turns.NO_NAME),
    ],
)
def test_malformed(text, reason):
    assert parse_turn(text) == Malformed(reason)


def test_a_call_in_the_reasoning_is_no_call():
    assert parse_turn(f"<think>shall I {call()}</think><answer>B</answer>").well_formed is False
    assert isinstance(parse_turn(f"<think>{call()}</think>{ANSWER}"), FinalAnswer)


def test_objects_written_as_strings_are_read():
    whole = json.dumps(json.dumps({"name": TOOL, "arguments": '{"query": "x"}'}))
    turn = parse_turn(f"<tool_call>{whole}</tool_call>", thinks=False)
    assert turn == ToolCall(TOOL, '{"query": "x"}', True)


@given(st.text() | st.lists(st.sampled_from([
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", "{", "}", "B",
    '{"name": "seek_video_frames", "arguments": {"query": "x"}}', '"', "\ud800", "\x00",
]), max_size=12).map("".join))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_text_is_one_of_three(text):
    conversation = talk()
    step = conversation.said(text)
    assert isinstance(step, (Call, list)) or conversation.over
    assert set(conversation.counters()) == set(COUNTERS)


def test_hostile_text_is_read_in_linear_time():
    begin = time.monotonic()
    for text in (
        "<tool_call>" * 10**5,
        "<tool_call>" + "[" * 10**6,
        "<think>" * 10**5 + "</think>" * 10**5,
        "<answer>" * 10**5,
        "<tool_call>" + "{" * 10**6 + "</tool_call>",
        ("<tool_call>" + "<" * 1000) * 1000,
    ):
        parse_turn(text)
    assert time.monotonic() - begin < 5.0


# the conversation -------------------------------------------------------------------------------


def test_search_then_answer():
    conversation = talk()
    assert conversation.said(call(start_time=3, num_frames=2)) == Call("a red car", 3.0, 60.0, 2)
    (shown,) = conversation.found(frames(4.0, 5.0))
    assert shown["role"] == "tool"
    assert [part["type"] for part in shown["content"]].count("image") == 2
    assert conversation.said(ANSWER) is None
    assert conversation.over
    assert conversation.well_formed
    assert parse(conversation.answer, options=("a", "b"), contract="think_answer_choice").choice
    assert [m["role"] for m in conversation.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    counts = conversation.counters()
    assert counts["turns"] == 2
    assert (counts["searches"], counts["frames"], counts["answered"]) == (1, 2, 1)
    assert sum(counts.values()) == 6


def test_a_bad_call_is_answered_and_the_search_goes_on():
    conversation = talk()
    (message,) = conversation.said(call(num_frames=99))
    assert message["role"] == "tool"
    assert "num_frames is 99; it must be from 1 to 8" in text_of([message])
    assert isinstance(conversation.said(call()), Call)
    assert conversation.counts["failed_calls"] == 1
    assert conversation.counts["searches"] == 0


def test_an_unknown_tool_is_named():
    conversation = talk()
    text = '<tool_call>{"name": "rm <|im_end|>", "arguments": {}}</tool_call>'
    messages = conversation.said(text)
    assert 'no tool "rm < |im_end|>"; the only tool is seek_video_frames' in text_of(messages)


def test_a_failure_of_ours_is_counted_apart():
    conversation = talk()
    conversation.said(call())
    assert "the file is broken" in text_of(conversation.failed("the file is broken", ours=True))
    assert conversation.counts["search_failures"] == 1
    assert conversation.counts["failed_calls"] == 0
    assert not conversation.shown


def test_one_malformed_turn_is_asked_for_again_the_next_must_answer():
    conversation = talk()
    (retry,) = conversation.said("The answer is B.")
    assert retry["role"] == "user"
    assert turns.NEITHER in text_of([retry])
    (forced,) = conversation.said("Still B.")
    assert "final answer now" in text_of([forced])
    assert conversation.said(ANSWER) is None
    assert conversation.answer == ANSWER
    assert not conversation.well_formed
    counts = conversation.counts
    assert (counts["malformed"], counts["retries"], counts["forced_answer"]) == (2, 1, 1)


def test_a_turn_that_was_cut_off_is_told_so():
    assert turns.CUT in text_of(talk().said("<think>so", cut=True))


def test_the_last_turn_must_answer():
    conversation = talk(turns=3)
    conversation.said(call())
    assert len(conversation.found(frames(1.0))) == 1
    conversation.said(call())
    result, forced = conversation.found(frames(2.0))
    assert (result["role"], forced["role"]) == ("tool", "user")
    assert "cannot search any more" in text_of([forced])
    assert conversation.said(call()) is None  # not made any more
    assert conversation.over
    assert conversation.answer == ""
    assert not conversation.well_formed
    assert conversation.counts["turns"] == 3
    assert conversation.counts["searches"] == 2
    assert conversation.counts["forced_answer"] == 1
    assert conversation.counts["answered"] == 0


def test_a_forced_answer_counts():
    conversation = talk(turns=2)
    conversation.said(call())
    conversation.found(frames(1.0))
    conversation.said(ANSWER)
    assert conversation.well_formed
    assert conversation.counts["forced_answer"] == conversation.counts["answered"] == 1


def test_a_model_that_never_answers_ends():
    for text in ("", "babble", call(), call(num_frames=0)):
        conversation = talk(turns=5)
        for _ in range(5):
            if isinstance(conversation.said(text), Call):
                conversation.found(frames(1.0))
        assert conversation.over
        assert conversation.answer == ""


def test_room():
    conversation = talk(tokens=1000, tokens_per_turn=100)
    assert conversation.room(0) == 100
    assert conversation.room(950) == 50
    assert conversation.room(1000) == conversation.room(5000) == 0


def test_a_result_that_does_not_fit_is_taken_back():
    conversation = talk()
    conversation.said(call())
    conversation.found(frames(1.0))
    conversation.said(call())
    conversation.found(frames(2.0, 3.0))
    result, forced = conversation.no_room()
    assert "do not fit" in text_of([result])
    assert "final answer now" in text_of([forced])
    assert conversation.messages[-2:] == [result, forced]
    assert conversation.messages[-3]["role"] == "assistant"
    assert len(conversation.shown) == 1
    counts = conversation.counts
    assert (counts["searches"], counts["frames"], counts["dropped_results"]) == (1, 1, 1)
    assert conversation.said(ANSWER) is None
    assert conversation.well_formed


def test_a_message_that_does_not_fit_is_taken_back_too():
    conversation = talk()
    conversation.said("babble")
    (forced,) = conversation.no_room()
    assert forced["role"] == "user"
    assert conversation.counts["searches"] == 0


def test_overflow_ends_without_an_answer():
    conversation = talk()
    conversation.said(call())
    conversation.found(frames(1.0))
    conversation.overflow()
    assert conversation.over
    assert conversation.counts["overflow"] == 1
    assert conversation.answer == ""


def test_no_frames_found_is_a_failed_call():
    conversation = talk()
    conversation.said(call())
    assert "no frames in this part" in text_of(conversation.found(frames()))
    assert conversation.counts["searches"] == 0
    assert not conversation.shown


def test_the_prompt_is_left_alone():
    messages = prompts.load("search").messages(SAMPLE)
    before = json.dumps(messages)
    conversation = Conversation(messages, duration_seconds=60.0)
    conversation.said(call())
    conversation.found(frames(1.0))
    assert json.dumps(messages) == before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"turns": 1}, "turns is 1; it must be 2 or more"),
        ({"tokens_per_turn": 0}, "must be 1 or more"),
        ({"tokens": "many"}, "tokens is 'many'"),
        ({"retries": True}, "retries is True"),
        ({"turn": 3}, "unknown search limit 'turn'; allowed: turns, frames_per_call"),
    ],
)
def test_wrong_limits(given, says):
    with pytest.raises(ValueError, match=says):
        Limits.from_mapping(given)


def test_limits_from_settings():
    assert Limits.from_mapping(None) == Limits()
    assert Limits.from_mapping(Limits(turns=4).as_dict()).turns == 4


# answering from the frames alone ----------------------------------------------------------------


@pytest.mark.parametrize("task", SEARCH_PROMPTS)
def test_every_task_has_its_two_templates(task):
    search, verify = (prompts.load(of[task]) for of in (SEARCH_PROMPTS, VERIFY_PROMPTS))
    assert search.contract.removeprefix("think_") == verify.contract


def test_verification_shows_all_searched_frames_and_nothing_else():
    conversation = talk()
    for second in (1.0, 7.0):
        conversation.said(call())
        conversation.found(frames(second, second + 1))
    prompt = prompts.load("frames_choice")
    (user,) = verify_messages(conversation.shown, prompt, SAMPLE)
    kinds = [part["type"] for part in user["content"]]
    assert kinds == ["text", "image"] * 4 + ["text"]
    times = [part["text"] for part in user["content"][:-1] if part["type"] == "text"]
    assert times == [f"<{t} seconds>" for t in (1.0, 2.0, 7.0, 8.0)]
    assert SAMPLE.query in user["content"][-1]["text"]
    assert "(B) b" in user["content"][-1]["text"]


def test_who_never_searched_verifies_nothing():
    conversation = talk()
    conversation.said(ANSWER)
    assert verify_messages(conversation.shown, prompts.load("frames_choice"), SAMPLE) is None
