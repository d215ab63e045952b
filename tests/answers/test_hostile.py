"""Any input gives a value, in linear time; the short way agrees with the full parser."""

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from temporal_plugin.answers import CONTRACTS, PROBLEMS, Answer, contract_named, parse
from temporal_plugin.answers.parser import _full
from temporal_plugin.answers.plain import read_plain
from temporal_plugin.spans import Span

OPTIONS = ("red", "blue", "a green car", "because of the rain")

pieces = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<time>",
        "</time>",
        "<glue>",
        "</glue>",
        "\\boxed{",
        "}",
        "{",
        "[",
        "(",
        ")",
        "]",
        ",",
        ":",
        ".",
        ";",
        "-",
        "–",
        "to",
        "and",
        "from",
        "between",
        "start",
        "end",
        "start_time",
        '"',
        "'",
        "5",
        "9",
        "12.5",
        "00:12",
        "1e400",
        "-3",
        "NaN",
        "Infinity",
        "%",
        "s",
        "minutes",
        "not",
        "does",
        "occur",
        "answer",
        "is",
        "option",
        "B",
        "(C)",
        "?",
        "!",
        "\\",
        "\n",
        "５",
        "İ",
        "\ud800",
        "\x00",
    ]
)
hostile = st.lists(pieces, max_size=60).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda glue: glue.join(parts))
)


@settings(deadline=None)
@given(text=st.one_of(hostile, st.text(max_size=300)), with_options=st.booleans())
@example(text="1 - 5 to 9", with_options=False)
@example(text="<answer><time></answer></time>", with_options=True)
def test_any_text_gives_a_value(text, with_options):
    options = ("B", "", "C.") if with_options else None
    for contract in CONTRACTS:
        answer = parse(text, options=options, contract=contract, duration_seconds=30.0)
        assert isinstance(answer, Answer)
        assert answer.problem is None or answer.problem in PROBLEMS
        assert answer.problem is not None or answer.spans or answer.choice or answer.text
        assert answer.choice is None or "A" <= answer.choice <= "Z"


@settings(deadline=None)
@given(st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_any_json_gives_a_value(value):
    assert isinstance(parse(json.dumps({"spans": value})), Answer)


blocks = st.sampled_from(
    [
        "",
        "<think>",
        "</think>",
        "<answer>",
        "<time>",
        "<Answer>",
        "He walks.",
        "Is it so?",
        "from 1 to 3",
        "The answer is 1 to 3.",
        "It does not occur",
        "in frames",
        "-",
        "3 and",
        ",",
    ]
)
plain_ends = st.sampled_from(
    [
        "<answer>{}</answer>",
        "<time>{}</time>",
        "<answer>{}</answer> Yes.",
        "He jumps from {}.",
        "It is {}",
        " between {}",
        "<answer>{}</answer></think>",
        "{}?",
        "from {} \n",
        "The answer is {}.",
        "so the answer: {}",
        "The answer is from {}.",
        "My answer {}",
        "The answers are {}.",
    ]
)
plain_ranges = st.sampled_from(
    [
        "5 to 9",
        "5.0s to 9.0s",
        "9 to 5",
        "40 to 50",
        "5 and 9 seconds",
        "[5, 9]",
        "1950 to 1960",
        '{"start_time": "5", "end_time": "9"}',
        "from 5 - 9",
        "5",
        "B",
        "12,5 to 17,0",
        " 5~9 ",
        "5-9",
        "5 – 9",
        "5 -9",
        "00:05 - 00:09",
        "0:05-0:09.5",
        "1:00:05 to 1:00:09",
        "00:09 and 00:05",
        "19:05 - 20:09",
        "00:75 to 00:99",
        "00:05 to 9",
        "5-9-12",
        "5 and9",
        "5to 9",
    ]
)


@settings(deadline=None, max_examples=1000)
@given(st.lists(blocks, max_size=5), plain_ends, plain_ranges, st.booleans())
@example(["He walks from 1 to 3 and"], "then from {}.", "5 to 9", False)
@example(["The answer is 1 to 3."], "The answer is {}.", "00:05 - 00:09", False)
@example(["The answer is 1 to 3."], "It is {}", "00:05 - 00:09", False)
def test_the_short_way_agrees_with_the_full_parser(parts, end, said, asked):
    text = " ".join([*parts, end.format(said)])
    question = "what is it from 5 to 9" if asked else None
    short = read_plain(text, 30.0, question)
    if short is not None:
        assert short == _full(text, None, 30.0, contract_named("free"), question)


@pytest.mark.parametrize(
    "style",
    [
        "{}<answer>5 to 9</answer>",
        "{}He jumps from 5 to 9 s.",
        "{}The answer is 00:05 - 00:09.",
        "{}He jumps from 00:05 to 00:09.",
    ],
)
def test_the_short_way_is_taken(style):
    for reasoning in ("", "From 1 to 3 he walks. " + "And then he turns around. " * 4):
        assert read_plain(style.format(reasoning), None, None) is not None


MEGABYTE = 1_000_000
HOSTILE = {
    "opened answers": "<answer>",
    "closed answers": "</answer>",
    "answers": "<answer>5 to 9</answer>",
    "thoughts": "<think>",
    "closed thoughts": "</think>",
    "thoughts and answers": "<think><answer>",
    "boxes": "\\boxed{",
    "digits": "7",
    "unicode digits": "５",
    "decimals": "1.",
    "minutes": "1:",
    "commas": "1,",
    "ranges": "1 to ",
    "pairs": "1 to 2 ",
    "dashes": "1-",
    "signs": "-",
    "spaces": " ",
    "new lines": "\n",
    "numbers and spaces": "5" + " " * 50,
    "brackets": "[",
    "round brackets": "(",
    "braces": '{"start":',
    "keys": '"start_time": 5, ',
    "ends": "end ",
    "roles": "start at 5 ",
    "questions": "5 to 9? ",
    "cues": "answer: ",
    "cued letters": "answer: B ",
    "letters": "(A) ",
    "clocks": "00:05 - ",
    "words and spaces": "a ",
    "starts": "start ",
    "lines": "B. \n",
    "refusals": "does not ",
    "no": "not ",
    "words": "a",
    "times": "<time>",
    "glue": "<glue>[(",
    "capital tags": "<ANSWER>",
    "exponents": "1e",
    "units": "5 m ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_takes_little_time(name):
    unit = HOSTILE[name]
    text = unit * (MEGABYTE // len(unit))
    began = time.process_time()
    for options in (None, OPTIONS):
        parse(text, options=options, question="When between 5 and 9 does it happen?")
    parse("<think>a</think><answer>" + text, contract="think_answer_json")
    assert time.process_time() - began < 3 * 1.0  # measured: 0.2 at most, on an idle core


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_after_a_hostile_megabyte_is_found(name):
    unit = HOSTILE[name]
    text = unit * (MEGABYTE // len(unit)) + "</think><answer>5 to 9</answer>"
    assert parse(text).spans == (Span(5, 9),)
