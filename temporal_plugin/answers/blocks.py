"""Where in a response the answer stands: after the reasoning, in the last marked block.

Plain string searches from the end, so the cost does not grow with the reasoning.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

THINK, THINK_END = "<think>", "</think>"
_BOXED = "\\boxed{"
_LONGEST_BOX = 400
_TAG = re.compile(r"</?(?:T(?:hink|HINK|ime|IME)|A(?:nswer|NSWER)|G(?:lue|LUE))>")


class Located(NamedTuple):
    """The parts of a response.

    `answer`, `time`, `glue` and `boxed` are the contents of the last such block, None if there
    is none; `rest` is everything after the reasoning; `finished` is False when a reasoning
    block was opened and never closed.
    """

    reasoning: str
    rest: str
    finished: bool
    answer: str | None
    time: str | None
    glue: str | None
    boxed: str | None


def locate(text: str) -> Located:
    """Splits a response; a block inside the reasoning is no answer, unless it comes last."""
    if "<" not in text and _BOXED not in text:
        return Located("", text, True, None, None, None, None)
    if _TAG.search(text):
        text = _TAG.sub(lambda match: match[0].lower(), text)
    reasoning, rest, finished = _after_reasoning(text)
    answer_at, time_at, glue_at = rest.rfind("<answer>"), rest.rfind("<time>"), rest.rfind("<glue>")
    if not finished:
        last = max(answer_at, time_at, glue_at)
        if last < 0 or _goes_on(rest, last):
            return Located(reasoning.strip(), rest, False, None, None, None, None)
        reasoning = ""
    boxed_at = rest.rfind(_BOXED)
    if not reasoning:
        begins = [at for at in (answer_at, time_at, glue_at, boxed_at) if at >= 0]
        reasoning = rest[: min(begins, default=0)]
    answer = _content(rest, answer_at, "answer")
    time = _content(rest, time_at, "time")
    if answer is not None and answer_at < time_at < answer_at + len(answer):
        answer, time = without_tags(answer), None
    glue, boxed = _content(rest, glue_at, "glue"), _box(rest, boxed_at)
    return Located(reasoning.strip(), rest, finished, answer, time, glue, boxed)


def _goes_on(text: str, last: int) -> bool:
    """Whether reasoning goes on after the block at `last`, which then is only a thought."""
    end = text.find("</", last)
    return end >= 0 and bool(without_tags(text[end:]).strip())


def _after_reasoning(text: str) -> tuple[str, str, bool]:
    """(reasoning, what follows it, whether the reasoning was closed)."""
    close = text.rfind(THINK_END)
    if close < 0:
        opened = text.find(THINK)
        if opened < 0:
            return "", text, True
        return text[opened + len(THINK) :], text[opened + len(THINK) :], False
    if not text[close + len(THINK_END) :].strip():
        # A stray closing tag after the answer; not the end of nested reasoning.
        before = text.rfind(THINK_END, 0, close)
        if before >= 0 and text.count(THINK_END) > max(1, text.count(THINK)):
            close = before
    reasoning = text[:close].lstrip().removeprefix(THINK)
    return reasoning, text[close + len(THINK_END) :], True


def _content(text: str, at: int, tag: str) -> str | None:
    """What stands in the block opened at `at`; without a closing tag, up to the next block."""
    if at < 0:
        return None
    begin = at + len(tag) + 2
    end = text.find(f"</{tag}>", begin)
    if end < 0:
        later = [text.find(f"<{other}>", begin) for other in ("glue", "time") if other != tag]
        end = min((position for position in later if position >= 0), default=len(text))
        if tag == "answer" and not text[begin:end].strip():
            end = len(text)
    return text[begin:end]


def _box(text: str, at: int) -> str | None:
    """What stands in a LaTeX box, up to its own closing brace."""
    if at < 0:
        return None
    begin = at + len(_BOXED)
    depth = 1
    for position in range(begin, min(len(text), begin + _LONGEST_BOX)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return text[begin:position].replace("\\text{", "").replace("}", "")
    return text[begin : begin + _LONGEST_BOX]


def without_tags(text: str) -> str:
    """The text with the tags of this module's blocks blanked out."""
    for tag in ("answer", "time", "glue", "think"):
        text = text.replace(f"<{tag}>", " ").replace(f"</{tag}>", " ")
    return text


def without_echo(text: str, question: str | None) -> str:
    """The text with repetitions of the question cut out, so that its times are no answer."""
    needle = echo_of(question)
    if not needle:
        return text
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow when lowered; then compare as written
        return text.replace(needle, "\n")
    pieces, begin = [], 0
    at = lowered.find(needle)
    while at >= 0:
        pieces.append(text[begin:at])
        begin = at + len(needle)
        at = lowered.find(needle, begin)
    pieces.append(text[begin:])
    return "\n".join(pieces)


@lru_cache(maxsize=1024)
def echo_of(question: str | None) -> str:
    """How a repetition of `question` reads; "" if it is short or has no digit, so no times."""
    if not question:
        return ""
    needle = question.strip().rstrip("?.! ").lower()
    return needle if len(needle) >= 12 and re.search(r"\d", needle) else ""


def without_questions(text: str) -> str:
    """Running text without its sentences that end in "?": they answer nothing."""
    *asking, tail = text.split("?")
    stops = (". ", "! ", "\n")
    kept = [part[: 1 + max(part.rfind(stop) for stop in stops)] for part in asking]
    return "\n".join((*kept, tail))
