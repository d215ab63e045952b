"""What the seeds' regular expressions find, in linear time.

Each function names the expression whose language it accepts; the tests hold the two together on
random strings. `.` stands for any character, new lines too.
"""

from __future__ import annotations

import re
from itertools import pairwise

_SPACE = re.compile(r"\s*")
# `\d+\.?\d*` splits a row of digits in many ways, and begins anywhere in it; this in one only.
_NUMBER = r"\d+(?:\.\d*)?"
_PAIR = re.compile(rf"(?<!\d)({_NUMBER}) (?:to|and) ({_NUMBER})", re.IGNORECASE)
_STEP = re.compile(rf"<timestep>\s*{_NUMBER}\s+to\s+{_NUMBER}\s*</timestep>", re.IGNORECASE)


def first_block(text: str, tag: str) -> str | None:
    """The content of the first `<tag>(.*?)</tag>`."""
    begin = text.find(f"<{tag}>")
    if begin < 0:
        return None
    begin += len(tag) + 2
    end = text.find(f"</{tag}>", begin)
    return None if end < 0 else text[begin:end]


def last_block(text: str, tag: str) -> str | None:
    """The content of the last of all `<tag>(.*?)</tag>`, found one after the other."""
    opening, closing = f"<{tag}>", f"</{tag}>"
    found, position = None, 0
    while True:
        begin = text.find(opening, position)
        end = text.find(closing, begin + len(opening)) if begin >= 0 else -1
        if end < 0:
            return None if found is None else text[found[0] : found[1]]
        found = begin + len(opening), end
        position = end + len(closing)


def last_pair(text: str) -> tuple[str, str] | None:
    r"""The last of all `(\d+\.?\d*) (to|and) (\d+\.?\d*)`, letters of any case."""
    last = None
    for match in _PAIR.finditer(text):
        last = match
    return None if last is None else (last[1], last[2])


def is_chain(text: str, *tags: str) -> bool:
    r"""Whether all of `text` is `<a>.*?</a>\s*<b>.*?</b>`, and so on for these tags."""
    opening, closing = f"<{tags[0]}>", f"</{tags[-1]}>"
    if not text.startswith(opening) or not text.endswith(closing):
        return False
    position = len(opening)
    for tag, following in pairwise(tags):
        # the first place is the best one: what can follow a later place can follow this one too
        position = _joint_end(text, position, f"</{tag}>", f"<{following}>")
        if position < 0:
            return False
    return position <= len(text) - len(closing)


def _joint_end(text: str, position: int, closing: str, opening: str) -> int:
    """Where the first `closing`, white space, `opening` after `position` ends, or -1."""
    at = text.find(closing, position)
    while at >= 0:
        after = _SPACE.match(text, at + len(closing)).end()
        if text.startswith(opening, after):
            return after + len(opening)
        at = text.find(closing, after)
    return -1


def has_step(text: str) -> bool:
    r"""Whether it holds `<timestep>\s*\d+\.?\d*\s+to\s+\d+\.?\d*\s*</timestep>`, in any case."""
    return _STEP.search(text) is not None


def in_order(text: str, *marks: str) -> bool:
    """Whether `text` is `mark.*mark.*...` with the first mark at its beginning."""
    if not text.startswith(marks[0]):
        return False
    position = 0
    for mark in marks:
        at = text.find(mark, position)
        if at < 0:
            return False
        position = at + len(mark)
    return True
