"""Pairs of times that a text presents as one stretch of time.

Three ways to say it: a connector (`5 to 9`, `5 - 9`, `between 5 and 9`), a bracketed pair
(`[5, 9]`), and roles (`starts at 5 ... ends at 9`, `{"start_time": 5, "end_time": 9}`). JSON
needs no parser of its own, so broken or endlessly nested JSON cannot hurt. One pass, linear.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from temporal_plugin.answers.times import Time

_LONGEST_GAP = 48  # characters between two times that are looked at as a connector
_LONGEST_ROLE = 96  # characters before a time in which its role is looked for

_WEAK, _DASH, _WORD = 0, 1, 2
_CONNECTORS = dict.fromkeys(("to", "until", "till", "through", "thru", "到", "至"), _WORD)
_CONNECTORS |= dict.fromkeys(("->", "-->", "→", "=>"), _WORD)
_CONNECTORS |= dict.fromkeys("-–—―‐‑‒−~～〜", _DASH)
_CONNECTORS |= dict.fromkeys(("and", "&"), _WEAK)
_WRAPPING = " \t\r\n\u00a0*`\"'()[]$\\"

_SOFT = r"""[\s"'`*()\[\]$\\~≈=,:_]*"""
_NOISE = (
    r"(?:marks?|points?|timestamps?|times?|seconds?|secs?|s|t|the|about|around|approximately"
    r"|approx\.?|roughly|nearly|at|in|into|of|video|clip|start|end|ends|ending)"
)
_WORDS = "|".join(re.escape(word) for word in sorted(_CONNECTORS, key=len, reverse=True))
_LOOSE = re.compile(rf"{_SOFT}(?:{_NOISE}\b{_SOFT})*({_WORDS}){_SOFT}(?:{_NOISE}\b{_SOFT})*")

_ROLE_NOISE = (
    r"(?:timestamp|timepoint|time|at|from|around|about|approximately|approx\.?|roughly|is|was"
    r"|the|seconds?|secs?|s|marks?|point|in|of|event|action|activity|moment|clip|segment"
    r"|video|interval|it|on|by|near|exactly|just|value|occurring|and|lasts)"
)
_ROLE_WORDS = ("start", "begin", "began", "onset", "commenc")
_ROLE_WORDS += ("end", "finish", "stop", "until", "conclud")
_ROLE_SOFT = r"""[\s"'`*()\[\]$\\~≈=,:_>-]*"""
_ROLE = re.compile(
    rf"""(?<![a-z])(?:(?P<start>start|begin|began|onset|commenc)|(?:end|finish|stop|until|conclud))
    [a-z]{{0,9}}{_ROLE_SOFT}
    (?:(?:{_ROLE_NOISE}(?![a-z]){_ROLE_SOFT})*
      |(?:when|as|once|with|after)\b[^.;\n]{{0,60}}\b(?:at|around){_ROLE_SOFT})""",
    re.VERBOSE,
)


class Found(NamedTuple):
    """`text[begin:end]` presents `start` to `end_time`; `keyed` if by quoted keys of an object."""

    begin: int
    end: int
    start: Time
    stop: Time
    keyed: bool


def find_ranges(text: str, times: list[Time]) -> list[Found]:
    """The ranges that lower-case `text` makes of its `times`, in order of their last time."""
    found: list[Found] = []
    roles = _Roles(text)
    i = 0
    while i < len(times):
        taken, used = _take(text, times, i)
        if taken:
            found.append(taken)
        if used:
            roles.forget()
            i += used
            continue
        by_role = roles.take(times[i], times[i - 1].end if i else 0)
        if by_role:
            found.append(by_role)
        i += 1
    return _without_decimal_commas(text, found)


def _take(text: str, times: list[Time], i: int) -> tuple[Found | None, int]:
    """The range that begins with the i-th time, if any, and how many times it uses up."""
    if i + 1 == len(times) or times[i + 1].begin - times[i].end > _LONGEST_GAP:
        return None, 0
    bracketed = _bracketed(text, times, i)
    return (bracketed, 2) if bracketed else _connected(text, times, i)


def _bracketed(text: str, times: list[Time], i: int) -> Found | None:
    """`[5, 9]` or `("5", "9")`; the closing bracket may be cut off by the end of the text."""
    first, second = times[i], times[i + 1]
    if text[first.end : second.begin].strip(" \t\r\n\"'") != ",":
        return None
    before = text[max(0, first.begin - _LONGEST_GAP) : first.begin].rstrip(" \t\r\n\"'")
    after = text[second.end : second.end + _LONGEST_GAP].lstrip(" \t\r\n\"'")
    if before[-1:] not in ("[", "(") or after[:1] not in ("]", ")", ""):
        return None
    return Found(first.begin, second.end, first, second, False)


def _strength(text: str, first: Time, second: Time) -> int | None:
    """How firmly the text between two times joins them to a range, None if it does not."""
    if second.begin - first.end > _LONGEST_GAP:
        return None
    gap = text[first.end : second.begin]
    strength = _CONNECTORS.get(gap.strip(_WRAPPING))
    if strength is not None:
        return strength
    if not gap.strip():
        return _DASH if second.negative and gap else None  # "5 -9"
    loose = _LOOSE.fullmatch(gap)
    return _CONNECTORS[loose[1]] if loose else None


def _connected(text: str, times: list[Time], i: int) -> tuple[Found | None, int]:
    """`5 to 9`; a chain such as the date 2023-05-12 is used up without giving a range."""
    first, second = times[i], times[i + 1]
    strength = _strength(text, first, second)
    if strength is None:
        return None, 0
    if i + 2 < len(times) and not _closes(text, second):
        onward = _strength(text, second, times[i + 2])
        if onward is not None and onward > strength:  # "step 2 and 5 to 9": the later one holds
            return None, 0
        if onward == strength:
            return None, _chain_length(text, times, i, strength)
    if text[max(0, first.begin - 8) : first.begin].rstrip().endswith(("frame", "frames")):
        return None, 2
    if second.negative and not text[first.end : second.begin].strip():  # "5 -9"
        second = second._replace(negative=False)
    elif first.scale == 0.0 and second.scale not in (0.0, 1.0):  # "5 to 9 minutes"
        first = first._replace(seconds=first.seconds * second.scale)
    return Found(first.begin, second.end, first, second, False), 2


def _closes(text: str, time: Time) -> bool:
    """Whether a bracket closes after `time`: "(1-3) - (5-9)" is no chain."""
    return text[time.end : time.end + 8].lstrip()[:1] in (")", "]")


def _chain_length(text: str, times: list[Time], i: int, strength: int) -> int:
    last = i + 2
    while last + 1 < len(times) and _strength(text, times[last], times[last + 1]) == strength:
        last += 1
    return last - i + 1


def _role(text: str, begin: int, end: int) -> re.Match[str] | None:
    """The last word in `text[begin:end]` that gives the time at `end` a role."""
    if end - begin < 3:
        return None
    places = [text.rfind(word, begin, end) for word in _ROLE_WORDS]
    for place in sorted(places, reverse=True):
        if place < 0:
            return None
        match = _ROLE.fullmatch(text, place, end)
        if match:
            return match
    return None


class _Roles:
    """Remembers the last time called a start, or quoted as an end, while times go by."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.forget()

    def forget(self) -> None:
        self._start: tuple[int, Time] | None = None
        self._end: tuple[int, Time] | None = None

    def take(self, time: Time, after: int) -> Found | None:
        """The range that `time` completes; its role stands between `after` and itself."""
        match = _role(self._text, max(after, time.begin - _LONGEST_ROLE), time.begin)
        if match is None:
            return None
        begin = match.start()
        keyed = '"' in match[0] or "'" in match[0]
        if match["start"]:
            if keyed and self._end and not self._object_ends(self._end[1].end, begin):
                begin, end = self._end
                self.forget()
                return Found(begin, time.end, time, end, True)
            self.forget()
            self._start = (begin, time)
            return None
        if self._start is None:
            self._end = (begin, time) if keyed else None
            return None
        begin, start = self._start
        self.forget()
        return Found(begin, time.end, start, time, keyed)

    def _object_ends(self, begin: int, end: int) -> bool:
        return end - begin > _LONGEST_GAP or "}" in self._text[begin:end]


def _without_decimal_commas(text: str, found: list[Found]) -> list[Found]:
    """Drops "5 to 17" out of "12,5 to 17,0"; keeps "5-9,12-15", where pairs meet at commas."""
    kept = []
    for k, item in enumerate(found):
        begin, end = item.begin, item.end
        if _digit_comma(text, begin - 1) and not (k and found[k - 1].end == begin - 1):
            continue
        is_last = k + 1 == len(found)
        if _digit_comma(text, end) and (is_last or found[k + 1].begin != end + 1):
            continue
        kept.append(item)
    return kept


def _digit_comma(text: str, position: int) -> bool:
    """Whether a comma stands at `position` directly between two digits."""
    return (
        0 < position < len(text) - 1
        and text[position] == ","
        and text[position - 1].isdigit()
        and text[position + 1].isdigit()
    )
