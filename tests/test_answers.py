import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from temporal_plugin.answers import (
    CONTRACTS,
    PROBLEMS,
    Answer,
    contract_named,
    parse,
    render,
)
from temporal_plugin.answers.parser import _full
from temporal_plugin.answers.plain import read_plain
from temporal_plugin.spans import Span


def pairs(answer: Answer) -> list[tuple[float, float]]:
    return [(span.start_seconds, span.end_seconds) for span in answer.spans]


ONE = [(5.0, 9.0)]
TWO = [(5.0, 9.0), (12.0, 15.0)]

ONE_SPAN = [
    # seconds
    "5 to 9",
    "5.0 to 9.0",
    "5s to 9s",
    "5 s to 9 s",
    "5 sec to 9 sec",
    "5 secs to 9 secs.",
    "5.0 seconds to 9.0 seconds",
    "5.0 SECONDS TO 9.0 SECONDS",
    "5000 ms to 9000 ms",
    # connectors
    "5 and 9",
    "5-9",
    "5 - 9",
    "5–9",
    "5 – 9 seconds",
    "5—9",
    "5 \u2212 9",
    "5~9",
    "5 ~ 9",
    "5 until 9",
    "5 s through 9 s",
    "5 -> 9",
    "5 → 9",
    "5 -9",
    "between 5 and 9",
    "Between 5 seconds and 9 seconds.",
    "from 5 to 9",
    "from about 5 s to about 9 s",
    "~5 s to ~9 s",
    "from the 5-second mark to the 9-second mark",
    "second 5 to second 9",
    "**5.0** to **9.0**",
    "`5` – `9`",
    '"5.0" to "9.0"',
    "(5) to (9)",
    "从5秒到9秒",
    # minutes and hours
    "00:05 to 00:09",
    "0:05 - 0:09",
    "00:05.0–00:09.00",
    "00:00:05.000 to 00:00:09.000",
    "00:00:05,000 --> 00:00:09,000",
    "00:05s to 00:09s",
    "0 min 5 s to 0 min 9 s",
    "0m05s - 0m09s",
    # roles
    "00:05–00:09 (5.0s to 9.0s)",
    "starts at 5 and ends at 9",
    "The event starts at 5.0s and ends at 9.0s.",
    "It begins at 5 seconds, when the door opens, and finishes at 9 seconds",
    "It begins when the man opens the door at 5 s, and ends when he shuts it at 9 s.",
    "start: 5, end: 9",
    "start=5 end=9",
    "Start time: 5.0 seconds\nEnd time: 9.0 seconds",
    "**Start:** 5.0s\n**End:** 9.0s",
    "t_start = 5; t_end = 9",
    # JSON
    '{"start_time": "5.0", "end_time": "9.0"}',
    '{"start_time": 5.0, "end_time": 9.0}',
    '{"start_time": "5.0s", "end_time": "00:09"}',
    '{"start": 5, "end": 9}',
    '{"end": 9, "start": 5}',
    "{'start': 5, 'end': 9}",
    '{"startTime":5,"endTime":9}',
    '{"from": 5, "to": 9}',
    '{"start": 5, "confidence": 0.9, "end": 9}',
    '{"start": 5, "end": 9, "note": "he walks from 1 to 3"}',
    '{"event": "jumps 3 times", "start": 5, "end": 9}',
    "[5, 9]",
    "[5.0,9.0]",
    '["5", "9"]',
    "[[5, 9]]",
    "[(5, 9)]",
    "(5.0, 9.0)",
    '{"spans": [[5, 9]]}',
    '{"timestamps": [5, 9]}',
    '{"timestamps": [\n    5,\n    9\n]}',
    '{"timestamp": "5.0 - 9.0"}',
    '```json\n{"start_time": "5.0", "end_time": "9.0"}\n```',
    "```\n[5, 9]\n```",
    "[5, 9",
    '{"start_time": 5, "end_time": 9',
    "5.0, 9.0",
    # tags
    "<answer>5 to 9</answer>",
    "<answer> 5.00 to 9.00 seconds. </answer>",
    "<Answer>5 to 9</Answer>",
    "<answer>From 5 to 9</answer>",
    "<answer>[5, 9]</answer>",
    "<answer>5.0, 9.0</answer>",
    '<answer>{"start_time": "5", "end_time": "9"}</answer>',
    '<answer>```json\n{"start": 5, "end": 9}\n```</answer>',
    "<answer>The event happens from 5 s to 9 s.</answer>",
    "<answer><time>5</time> to <time>9</time></answer>",
    "<time>[5, 9]</time>",
    "<time>5 to 9</time>",
    "<glue>[(5, 9)]</glue>",
    "<answer>B</answer><glue>[(5.0, 9.0)]</glue>",
    "<time>[5, 9]</time> \\boxed{B}",
    "\\boxed{5 to 9}",
    "\\boxed{[5, 9]}",
    "$\\boxed{5 \\text{ to } 9}$",
    # cut off
    "<answer>5 to 9",
    "<answer>5 to 9</ans",
    "<think>a</think><answer>5 to 9",
    "<think>I see 1 to 3 <answer>5 to 9</answer>",
    "<think>I see 1 to 3 <answer>5 to 9",
    "5 to 9</answer>",
    # the final answer, not the reasoning
    "<think>from 1 to 3</think>5 to 9",
    "<think>from 1 to 3</think><answer>5 to 9</answer>",
    "from 1 to 3</think><answer>5 to 9</answer>",
    "<think>a <answer>1 to 3</answer></think><answer>5 to 9</answer>",
    "<answer>1 to 3</answer> no: <answer>5 to 9</answer>",
    "<answer>5 to 9</answer> He walks in from 1 to 3.",
    "<think>a</think><answer>5 to 9</answer></think>",
    "He walks in from 1 to 3. He jumps from 5 to 9.",
    "From 1 to 3 he walks, then from 5 to 9 he jumps.",
    "The answer is 5 to 9, after he walks in from 1 to 3.",
    "Answer: 5 to 9\n\nFrom 1 to 3 he walks.",
    "**Final answer:** 5 to 9 (the video shows him idle from 0 to 5)",
    "The answer is 1 to 3. Wait, actually it is 5 to 9.",
    "Between 3 and 10 seconds, when does he jump? From 5 to 9.",
    "Between 3 and 10 seconds, when does he jump?\n5 to 9",
    "It does not happen at first. Then 5 to 9.",
    "No, it happens from 5 to 9.",
    # numbers that are no times
    "tomato 5 to 9",
    "5 to 9 tomatoes",
    "1. 5.0 - 9.0",
    "1) 5 to 9",
    "- 5 to 9",
    "2 people and 5 to 9",
    "step 2 and 5 to 9",
    "From 5 to 9, 90% sure, as on 2023-05-12.",
    "It was 2019 to 2021, and in the video 5 to 9.",
    "mp4 to 3: 5 to 9",
    # unicode
    "５ to ９",
    "٥ to ٩",
    "5\u00a0s\u00a0to\u00a09\u00a0s",
    "İ 5 to 9",
    "\ud800 5 to 9",
]

TWO_SPANS = [
    "5 to 9 and 12 to 15",
    "5-9, 12-15",
    "5-9,12-15",
    "from 5 to 9 and from 12 to 15",
    "between 5 and 9 and between 12 and 15",
    "5 s to 9 s, then again 12 s to 15 s",
    "[[5, 9], [12, 15]]",
    "[5, 9], [12, 15]",
    "[(5, 9), (12, 15)]",
    '[["5", "9"], ["12", "15"]]',
    '{"spans": [[5, 9], [12, 15]]}',
    '[{"start": 5, "end": 9}, {"start": 12, "end": 15}]',
    '[{"end": 9, "start": 5}, {"end": 15, "start": 12}]',
    '{"timestamps": ["5 to 9", "12 to 15"]}',
    "1. 5.0 - 9.0\n2. 12.0 - 15.0",
    "- 5 to 9\n- 12 to 15",
    "00:05-00:09; 00:12-00:15",
    "<answer>5 to 9 and 12 to 15</answer>",
    "<answer>A</answer><glue>[(5, 9), (12, 15)]</glue>",
    "He walks from 1 to 3. He jumps from 5 to 9 and 12 to 15.",
]


@pytest.mark.parametrize("text", ONE_SPAN)
def test_one_span(text):
    answer = parse(text)
    assert (pairs(answer), answer.problem) == (ONE, None)


@pytest.mark.parametrize("text", TWO_SPANS)
def test_two_spans(text):
    answer = parse(text)
    assert (pairs(answer), answer.problem) == (TWO, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01:02:03.250 to 01:02:10", (3723.25, 3730.0)),
        ("75:30 to 80:00", (4530.0, 4800.0)),
        ("1 minute 5 seconds to 2 minutes", (65.0, 120.0)),
        ("1m05s - 1m10s", (65.0, 70.0)),
        ("1 hour 2 minutes 3 seconds to 1h 5m", (3723.0, 3900.0)),
        ("5 to 9 minutes", (300.0, 540.0)),
        ("1.5 min to 2 min", (90.0, 120.0)),
        ("0 to 0", (0.0, 0.0)),
        ("1e-05 to 1e1", (1e-05, 10.0)),
        ("0.123456789012 to 7.25", (0.123456789012, 7.25)),
        ("<answer>2019 to 2021</answer>", (2019.0, 2021.0)),
    ],
)
def test_other_times(text, expected):
    assert pairs(parse(text)) == [expected]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("<answer></answer>", "empty"),
        ("<answer></answer> 5 to 9", "empty"),
        ("<answer>", "empty"),
        ("<think>5 to 9</think>", "empty"),
        ("<think>a</think> 1 to 3 <answer> </answer>", "empty"),
        ("in the middle", "no time found"),
        ("<think>5 to 9</think> somewhere", "no time found"),
        ("<think>5 to 9</think><answer>later</answer>", "no time found"),
        ("<answer>start to end</answer>", "no time found"),
        ("<think>from 5 to 9", "reasoning never ended"),
        ("<think>maybe <answer>5 to 9</answer>, but let me look", "reasoning never ended"),
        ("at 5 s", "only one time found"),
        ("starts at 5 s", "only one time found"),
        ("[NaN, 5]", "only one time found"),
        ('{"start_time": NaN, "end_time": Infinity}', "no time found"),
        ("9 to 5", "reversed span"),
        ("<answer>9 to 5</answer>", "reversed span"),
        ("<glue>[(5, 9), (15, 12)]</glue>", "reversed span"),
        ('{"start_time": "9", "end_time": "5"}', "reversed span"),
        ("-5 to 9", "negative time"),
        ("[-5, 9]", "negative time"),
        ('{"start": -5, "end": 9}', "negative time"),
        ("\u22125 to 9", "negative time"),
        ("1e400 to 5", "number out of range"),
        ("[1, 1e400]", "number out of range"),
        ("9" * 400 + " to " + "9" * 401, "no time found"),
        ("10% to 20%", "no time found"),
        ("10 to 20%", "only one time found"),
        ("10 to 20 percent", "only one time found"),
        ("5 to 9 frames", "only one time found"),
        ("frames 5 to 9", "no time range found"),
        ("2023-05-12", "no time range found"),
        ("05/12/2023 to 06/12/2023", "no time found"),
        ("It was 2019 to 2021", "no time range found"),
        ("version 1.2.3 to 4", "only one time found"),
        ("12,5 to 17,0", "no time range found"),
        ("[5, 9, 12, 15]", "no time range found"),
        ("1:1:1:1 to 2:2:2:2", "no time found"),
        ("00:75 to 00:99", "no time found"),
        ("$5 to $9", "no time found"),
        ("When between 3 and 10 seconds does he jump?", "no time found"),
        ("The event does not occur.", "refusal"),
        ("The event doesn't happen in the video", "refusal"),
        ("The event doesn’t happen in the video", "refusal"),
        ("<answer>The event does not occur in the video.</answer>", "refusal"),
        ("<think>5 to 9?</think><answer>no such event</answer>", "refusal"),
        ("There is no such moment in the video.", "refusal"),
        ("The event does not occur between 5 and 9.", "refusal"),
        ("He walks from 5 to 9. The event never happens.", "refusal"),
        ("The described action is not shown.", "refusal"),
        ("<answer>None</answer>", "refusal"),
        ("I cannot find the event.", "refusal"),
        ("I do not know", "declined to answer"),
        ("I cannot determine the time.", "declined to answer"),
    ],
)
def test_no_answer_has_a_reason(text, problem):
    answer = parse(text)
    assert (answer.problem, answer.spans) == (problem, ())
    assert problem in PROBLEMS


@pytest.mark.parametrize("value", [None, 5, 5.0, b"5 to 9", ["5 to 9"], {"start": 5}])
def test_what_is_no_text_is_a_value_too(value):
    assert parse(value).problem == "not text"


def test_spans_past_the_end_are_neither_clipped_nor_guessed():
    assert pairs(parse("5 to 12", duration_seconds=10)) == [(5.0, 12.0)]
    assert parse("12 to 15", duration_seconds=10).problem == "outside the video"
    assert parse("<answer>12 to 15</answer>", duration_seconds=10).problem == "outside the video"
    assert pairs(parse("5 to 9 and 12 to 15", duration_seconds=10)) == TWO
    assert pairs(parse("From 1950 to 2010.", duration_seconds=3600)) == [(1950.0, 2010.0)]


def test_a_repeated_question_is_no_answer():
    question = "What does the man do between 3.0 and 10.0 seconds?"
    for text in (question, f"You ask: {question.lower()}", f"<answer>{question}</answer>"):
        assert parse(text, question=question).problem in ("no time found", "empty")
    assert pairs(parse(f"{question} 5 to 9", question=question)) == ONE
    assert pairs(parse(f"5 to 9. {question[:-1]}.", question=question)) == ONE


def test_a_question_without_times_removes_nothing():
    assert pairs(parse("5 to 9", question="5 to 9")) == ONE
    assert pairs(parse("the man jumps from 5 to 9", question="the man jumps")) == ONE


def test_the_reasoning_is_kept():
    assert parse("<think> I see 1 to 3. </think><answer>5 to 9</answer>").reasoning == (
        "I see 1 to 3."
    )
    assert parse("I see.</think><answer>[5, 9]</answer>").reasoning == "I see."
    assert parse("I see. <answer>5 to 9</answer>").reasoning == "I see."
    assert parse("<think>I see <answer>5 to 9").reasoning == "I see"
    assert parse("<think>I see").reasoning == "I see"
    assert parse("5 to 9").reasoning == ""


OPTIONS = ("red", "blue", "a green car", "because of the rain")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("(b)", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("**B**", "B"),
        ("[B]", "B"),
        ("B. blue", "B"),
        ("(B) blue", "B"),
        ("B: blue", "B"),
        ("blue", "B"),
        ("Blue.", "B"),
        ("A green car", "C"),
        ("Because of the rain.", "D"),
        ("Answer: B", "B"),
        ("answer: (B)", "B"),
        ("Answer: **B**", "B"),
        ("The answer is B.", "B"),
        ("The answer is A because he is red.", "A"),
        ("The correct answer is: B", "B"),
        ("the correct option is (C)", "C"),
        ("Option B", "B"),
        ("I choose B.", "B"),
        ("The correct choice is option B", "B"),
        ("\\boxed{B}", "B"),
        ("\\boxed{\\text{B}}", "B"),
        ("So it is \\boxed{(B)}.", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>(B)</answer>", "B"),
        ("<answer>B. blue</answer>", "B"),
        ("<answer>blue</answer>", "B"),
        ("<answer>The answer is B</answer>", "B"),
        ("<answer>\\boxed{B}</answer>", "B"),
        ("<answer>B", "B"),
        ("<think>Option A?</think><answer>B</answer>", "B"),
        ("<think>(A)</think>(B)", "B"),
        ("<answer>B</answer><glue>[(5, 9)]</glue>", "B"),
        ("<time>[5, 9]</time>\\boxed{B}", "B"),
        ("<time>[5, 9]</time> The answer is B.", "B"),
        ("(A) red (B) blue (C) a green car (D) because of the rain. So it is (B).", "B"),
        ("Not (A), it is (B)", "B"),
        ("I believe B is correct.", "B"),
        ("B is the right answer", "B"),
        ("the answer is b", "B"),
        ("Option A is wrong. Option B is right.", "B"),
        ("Option B is right, option A is wrong.", "B"),
        ("I looked at it.\nB", "B"),
        ("It must be the a green car here", "C"),
        ("I think it looks blue to me", "B"),
    ],
)
def test_choices(text, choice):
    answer = parse(text, options=OPTIONS)
    assert (answer.choice, answer.problem) == (choice, None)


@pytest.mark.parametrize(
    "text",
    [
        "Because",
        "because",
        "A man walks in",
        "I don't think so",
        "Answer: A man walks in",
        "The answer is a man",
        "red or blue",
        "(A) red (B) blue (C) a green car (D) because of the rain",
        "E",
        "(E)",
        "Answer: E",
        "<answer></answer>",
        "<think>(B)</think>",
        "<think>B",
        "<think>B</think><answer>because</answer>",
        "Is it (B)?",
        "Bob",
        "U.S.",
        "",
    ],
)
def test_no_choice(text):
    answer = parse(text, options=OPTIONS)
    assert answer.choice is None
    assert answer.problem is not None


def test_labelled_options_are_understood():
    options = ["(A) clap proudly", "(B) sit down", "(C) sit"]
    assert parse("sit down", options=options).choice == "B"
    assert parse("(B) sit down", options=options).choice == "B"
    assert parse("They sit down here", options=options).choice == "B"


def test_options_with_the_same_words_are_told_apart_by_letter_only():
    assert parse("red", options=["red", "red"]).choice is None
    assert parse("(B)", options=["red", "red"]).choice == "B"


def test_letters_without_options():
    assert parse("Answer: B").choice == "B"
    assert parse("<answer>(B)</answer>").choice == "B"
    assert parse("Because").choice is None
    assert parse("5 to 9").choice is None


def test_a_choice_and_its_spans():
    answer = parse("<answer>B</answer><glue>[(9, 5)]</glue>", options=OPTIONS)
    assert (answer.choice, answer.spans, answer.problem) == ("B", (), "reversed span")


GOOD = {
    "answer": "<answer>5 to 9</answer>",
    "think_answer": "<think>a</think><answer>5 to 9</answer>",
    "think_answer_json": '<think>a</think><answer>{"start_time": "5", "end_time": "9"}</answer>',
    "think_answer_choice": "<think>a</think><answer>B</answer>",
    "think_answer_glue": "<think>a</think><answer>B</answer><glue>[(5, 9)]</glue>",
    "think_time": "<think>a</think><time>[5, 9]</time>",
}


def test_every_contract_is_tested():
    assert set(GOOD) | {"free"} == set(CONTRACTS)


@pytest.mark.parametrize("contract", GOOD)
def test_a_response_that_keeps_its_contract(contract):
    text = GOOD[contract]
    assert parse(text, contract=contract).well_formed
    spaced = text.replace("><", "> \n <")
    assert parse(f"\n {spaced}\n", contract=contract).well_formed


@pytest.mark.parametrize("contract", GOOD)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + text,
        lambda text: text + " So there.",
        lambda text: "Well: " + text,
        lambda text: text[: text.rindex("</")],
        lambda text: text.replace("<think>", "", 1) if "<think>" in text else "",
        lambda text: text.replace("</think>", "</think> and ", 1) if "<think>" in text else "",
        lambda text: text[text.index("</think>") :] if "<think>" in text else "",
        lambda text: text.replace("5", "x").replace("B", "unclear"),
        lambda text: text.replace("<answer>", "<time>").replace("</answer>", "</time>") + "!",
        lambda text: "5 to 9",
        lambda text: "",
    ],
)
def test_a_response_that_breaks_its_contract(contract, spoil):
    assert not parse(spoil(GOOD[contract]), contract=contract).well_formed


def test_an_unusable_answer_breaks_the_contract_and_a_refusal_keeps_it():
    assert not parse("<answer>9 to 5</answer>", contract="answer").well_formed
    refusal = parse("<answer>The event does not occur.</answer>", contract="answer")
    assert (refusal.well_formed, refusal.problem) == (True, "refusal")


def test_the_json_contract_wants_an_object():
    for content in ("5 to 9", "[5, 9]", '{"start": 5, "end": 9}', "{'start_time': 5}"):
        text = f"<think>a</think><answer>{content}</answer>"
        assert not parse(text, contract="think_answer_json").well_formed
    deep = "<think>a</think><answer>" + "[" * 100_000 + "</answer>"
    assert not parse(deep, contract="think_answer_json").well_formed


def test_a_free_response_is_well_formed_when_it_answers():
    assert parse("5 to 9").well_formed
    assert not parse("somewhere").well_formed


def test_an_unknown_contract_is_our_mistake():
    with pytest.raises(ValueError, match="contract 'thinking' is unknown; use one of: free"):
        parse("5 to 9", contract="thinking")


times = st.floats(0.0, 9e5, allow_nan=False).map(lambda value: round(value, 2))
gold_spans = st.tuples(times, times).map(lambda pair: Span(*sorted(pair)))


def clock(value: float) -> str:
    hundredths = round(value * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"


STYLES = [
    "{s} to {e}",
    "{s}s - {e}s",
    "{s} – {e}",
    "from {s} seconds to {e} seconds.",
    "between {s} and {e}",
    "It starts at {s} and ends at {e}.",
    "start: {s}, end: {e}",
    "[{s}, {e}]",
    '{{"start_time": "{s}", "end_time": "{e}"}}',
    '```json\n{{"spans": [[{s}, {e}]]}}\n```',
    "<think>1 to 3</think><answer>{s} to {e}</answer>",
    "<time>[{s}, {e}]</time>",
    "<answer>A</answer><glue>[({s}, {e})]</glue>",
    "\\boxed{{{s} to {e}}}",
    "<answer>{s} to {e}",
]


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None)
@given(span=gold_spans)
def test_a_formatted_span_is_read_back(style, span):
    text = style.format(s=span.start_seconds, e=span.end_seconds)
    assert parse(text).spans == (span,)


@settings(deadline=None)
@given(span=gold_spans.filter(lambda span: span.end_seconds < 99 * 3600))
def test_a_clock_is_read_back(span):
    text = f"{clock(span.start_seconds)} - {clock(span.end_seconds)}"
    (read,) = parse(text).spans
    assert read.start_seconds == pytest.approx(span.start_seconds, abs=1e-6)
    assert read.end_seconds == pytest.approx(span.end_seconds, abs=1e-6)


exact = st.floats(0.0, 1e8, allow_nan=False)


@pytest.mark.parametrize("contract", CONTRACTS)
@settings(deadline=None)
@given(bounds=st.tuples(exact, exact), reasoning=st.sampled_from(["", "He walks 1 to 3."]))
def test_a_rendered_answer_is_read_back_exactly(contract, bounds, reasoning):
    span = Span(*sorted(bounds))
    shape = CONTRACTS[contract]
    choice = "B" if shape.asks_choice else None
    text = render(contract, spans=(span,), choice=choice, reasoning=reasoning)
    answer = parse(text, contract=contract)
    assert answer.well_formed
    assert answer.choice == choice
    if shape.asks_spans or not shape.blocks:
        assert answer.spans == (span,)


def test_rendering():
    span = Span(24.3, 30.404)
    assert render("answer", spans=(span,)) == "<answer>24.30 to 30.404</answer>"
    assert render("think_answer_glue", spans=(Span(1, 2), span), choice="A") == (
        "<think></think>\n<answer>A</answer>\n<glue>[(1.00, 2.00), (24.30, 30.404)]</glue>"
    )
    assert parse(render("think_answer"), contract="think_answer").problem == "refusal"
    assert parse(render("answer", spans=(Span(1, 2), Span(3, 4)))).spans == (
        Span(1, 2),
        Span(3, 4),
    )


def test_rendering_what_a_contract_cannot_hold():
    with pytest.raises(ValueError, match="asks for a choice"):
        render("think_answer_choice")
    with pytest.raises(ValueError, match="holds one span, 2 were given"):
        render("think_time", spans=(Span(1, 2), Span(3, 4)))


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
        assert answer.problem is not None or answer.spans or answer.choice
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
    ]
)


@settings(deadline=None, max_examples=500)
@given(st.lists(blocks, max_size=5), plain_ends, plain_ranges, st.booleans())
@example(["He walks from 1 to 3 and"], "then from {}.", "5 to 9", False)
def test_the_short_way_agrees_with_the_full_parser(parts, end, said, asked):
    text = " ".join([*parts, end.format(said)])
    question = "what is it from 5 to 9" if asked else None
    short = read_plain(text, 30.0, question)
    if short is not None:
        assert short == _full(text, None, 30.0, contract_named("free"), question)


@pytest.mark.parametrize("style", ["{}<answer>5 to 9</answer>", "{}He jumps from 5 to 9 s."])
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
    assert pairs(parse(text)) == ONE
