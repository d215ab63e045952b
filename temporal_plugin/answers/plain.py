"""A short way for the plainest responses, which are nearly all that a trained model gives.

It reads only the end of a text and either gives what the full parser would give, or None. A
property test holds the two together.
"""

from __future__ import annotations

import re

from temporal_plugin.answers import model
from temporal_plugin.answers.blocks import THINK, THINK_END, echo_of
from temporal_plugin.answers.final import REFUSAL_HINTS
from temporal_plugin.answers.model import Answer
from temporal_plugin.answers.times import clock_seconds
from temporal_plugin.spans import Span

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_UNIT = r"(?: ?(?:s|secs?|seconds?)\b)?"

# Matched against short texts only: their runs of white space could be tried against each other.
_RANGE = re.compile(
    rf"\s*(?:from |between )?{_NUMBER}{_UNIT}(?:\s+(?:to|and)\s+|\s*[-–—~]\s*)"
    rf"{_NUMBER}{_UNIT}\.?\s*"
)
_OBJECT = re.compile(
    rf'\s*\{{\s*"start(?:_time)?"\s*:\s*"?{_NUMBER}"?\s*,'
    rf'\s*"end(?:_time)?"\s*:\s*"?{_NUMBER}"?\s*\}}\s*'
)
_PAIR = re.compile(rf"\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]\s*")
_LONGEST = 96

_CLOCK = r"(\d{1,2}:[0-5]\d(?::[0-5]\d)?(?:\.\d{1,9})?)"
_JOINED = r"(?: (?:to|and|[-–—~]) |[-–—~])"
# groups: what marks the range as the answer, what leads to it, two numbers or two clock times
_SENTENCE_END = re.compile(
    rf" ([Aa]nswer(?: is|:) )?(from |between |is )?"
    rf"(?:{_NUMBER}{_UNIT}{_JOINED}{_NUMBER}{_UNIT}|{_CLOCK}{_JOINED}{_CLOCK})\.?\Z"
)
_LONGEST_END = 64
_NEAR = 128  # characters before the range in which nothing may bear on it
_DIGIT = re.compile(r"\d")
_YEAR = ("19", "20")


def read_plain(text: str, duration_seconds: float | None, question: str | None) -> Answer | None:
    """The answer of a text that ends in a plain block or sentence, None if it is not so plain."""
    echo = echo_of(question)
    if "<" not in text:
        return None if echo else _sentence(text, duration_seconds)
    at = text.rfind("<answer>")
    if at >= 0:
        begin, end = at + 8, text.find("</answer>", at)
    else:
        at = text.rfind("<time>")
        begin, end = at + 6, text.find("</time>", at)
    if not 0 <= at < end <= at + _LONGEST or "<" in text[begin:end]:
        return None
    if text.find("<", end + 1) >= 0 or (echo and echo in text[begin:end].lower()):
        return None
    match = (
        _RANGE.fullmatch(text, begin, end)
        or _OBJECT.fullmatch(text, begin, end)
        or _PAIR.fullmatch(text, begin, end)
    )
    if match is None:
        return None
    reasoning = text[:at].strip()
    if reasoning.endswith(THINK_END):
        reasoning = reasoning[: -len(THINK_END)].removeprefix(THINK).strip()
    if "<" in reasoning:  # further tags: perhaps the block is a thought only
        return None
    return _answer(float(match[1]), float(match[2]), reasoning, duration_seconds)


def _sentence(text: str, duration_seconds: float | None) -> Answer | None:
    """The answer of running text that ends in "from 5 s to 9 s." with no other number near."""
    text = text.rstrip()
    match = _SENTENCE_END.search(text, max(0, len(text) - _LONGEST_END))
    if match is None or "\\boxed{" in text:
        return None
    marked, led, start, stop, clock_start, clock_stop = match.groups()
    if not marked and (not led or "answer" in text.lower()):  # a marked answer may stand earlier
        return None
    if start is not None and start.startswith(_YEAR):
        return None
    near = text[max(0, match.start() - _NEAR) : match.start()].lower()
    if _DIGIT.search(near, max(0, len(near) - 64)):
        return None
    for hint in REFUSAL_HINTS:
        if hint in near:
            return None
    if start is None:
        return _answer(clock_seconds(clock_start), clock_seconds(clock_stop), "", duration_seconds)
    return _answer(float(start), float(stop), "", duration_seconds)


def _answer(start: float, stop: float, reasoning: str, duration_seconds: float | None) -> Answer:
    if start > stop:
        return Answer(reasoning=reasoning, problem=model.REVERSED)
    if duration_seconds is not None and start >= duration_seconds:
        return Answer(reasoning=reasoning, problem=model.OUTSIDE)
    return Answer((Span(start, stop),), None, reasoning)
