"""Spans in an answer: what is read, what is not and why."""

import pytest

from temporal_plugin.answers import PROBLEMS, Answer, parse


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
