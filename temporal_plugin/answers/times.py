"""Points in time written in a text: `12.5`, `12.5 s`, `1 min 5 s`, `00:12.5`, `01:02:03.250`.

`scan` reads lower-case text in linear time. Numbers that are no time of a video are left out:
percentages, frames, fractions, version numbers, `m:s:f` chains, numbers of more than nine
digits and numbers glued to a word.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

_HOUR = r"(?:hours?|hrs?|h)"
_MINUTE = r"(?:minutes?|mins?|m|分钟|分)"
_SECOND = r"(?:seconds?|secs?|s|秒)"
_GAP = r"[ \u00a0]?"
_AND = r"[ \u00a0,]{0,2}(?:and )?"
_SIXTY = r"[0-5]?\d"

# The first digit comes first, and looks back from there: the engine then skips to digits at
# the speed of a character search. Every quantifier is bounded, so no input backtracks far.
_TIME = re.compile(
    rf"""\d(?<![\da-z_./$€£#]\d)(?<!\d:\d)
    (?:
        (?P<clock>\d{{0,2}}:[0-5]\d(?::[0-5]\d)?(?:\.\d{{1,9}}|,\d{{3}})?)(?![\d:])
        (?:[ \u00a0]?{_SECOND}(?![a-z]))?(?![\da-z_])
      | (?P<compound>
            \d{{0,2}}{_GAP}{_HOUR}{_AND}{_SIXTY}{_GAP}{_MINUTE}
            (?:{_AND}{_SIXTY}(?:\.\d{{1,9}})?{_GAP}{_SECOND})?
          | \d{{0,3}}{_GAP}{_MINUTE}{_AND}{_SIXTY}(?:\.\d{{1,9}})?{_GAP}{_SECOND}
        )(?![\da-z_/])
      | \d{{0,8}}(?:\.\d{{1,20}})?(?:e[+-]?\d{{1,3}})?
        (?:
            (?P<unit>[ \u00a0-]{{0,2}}
                (?:milliseconds?|msecs?|ms|{_HOUR}|{_MINUTE}|{_SECOND}))(?![\da-z_/])
          | (?![\da-z_%]|[.:/]\d|[ ]?(?:%|percent|frames?|fps))
        )
    )""",
    re.VERBOSE,
)
_PART = re.compile(r"([\d.]+)[ \u00a0]?([a-z分秒])")
_SCALES = {"h": 3600.0, "m": 60.0, "s": 1.0, "分": 60.0, "秒": 1.0}
_SIGNS = "-\u2212"
_MOST_TIMES = 512  # a final answer is at the end; this keeps a megabyte of numbers cheap


class Time(NamedTuple):
    """One point in time: `text[begin:end]` says `seconds`; `scale` is 0.0 for a bare number."""

    begin: int
    end: int
    seconds: float
    scale: float
    negative: bool


def scan(text: str) -> list[Time]:
    """The last 512 times of `text`, which must be lower case, in order."""
    times = []
    for match in deque(_TIME.finditer(text), maxlen=_MOST_TIMES):
        begin, end = match.span()
        kind = match.lastgroup
        if kind is None:
            seconds, scale = float(match[0]), 0.0
        elif kind == "unit":
            unit = match["unit"]
            scale = _scale(unit.lstrip(" \u00a0-"))
            seconds = float(text[begin : end - len(unit)]) * scale
        elif kind == "clock":
            seconds, scale = clock_seconds(text[begin : match.end("clock")]), 1.0
        else:
            seconds, scale = _compound_seconds(match[0]), 1.0
        negative = begin > 0 and text[begin - 1] in _SIGNS and _is_sign(text, begin - 1)
        times.append(Time(begin - negative, end, seconds, scale, negative))
    return times


def _scale(unit: str) -> float:
    return 0.001 if unit.startswith(("ms", "milli")) else _SCALES[unit[0]]


def clock_seconds(clock: str) -> float:
    """The seconds of `mm:ss` or `hh:mm:ss`, with a fraction after a point or a comma."""
    seconds = 0.0
    for part in clock.replace(",", ".").split(":"):
        seconds = seconds * 60.0 + float(part)
    return seconds


def _compound_seconds(text: str) -> float:
    return sum(float(number) * _SCALES[unit] for number, unit in _PART.findall(text))


def _is_sign(text: str, position: int) -> bool:
    """Whether the dash at `position` belongs to the number after it, not to a range `5-9`."""
    before = text[position - 1] if position else " "
    return not (before.isalnum() or before in ")]}%\"'`*.")
