"""VideoChat-R1: grounding as in TimeZero; grounded questions with a letter and a list of spans.

Quirks kept: the letter is the first of A to G anywhere in the first answer block, after some
stock beginnings were cut out, so that "Because" is B; the list must be exactly `[(s, e), ...]`
without signs, and one reversed pair makes all of it invalid; no spans against no spans, or spans
of no length against such, give an IoU of 1; where the true letter is H or later, an answer
block without any of A to G is right.
"""

from __future__ import annotations

import re

from temporal_plugin.rewards.compat.blocks import first_block, is_chain
from temporal_plugin.rewards.compat.seed import Reading
from temporal_plugin.rewards.compat.time_zero import time_zero
from temporal_plugin.rewards.model import Graded, true_choice

_BEGINNINGS = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Best answer:Best option:",
)
_LETTER = re.compile("[ABCDEFG]")
_MOST_DIGITS = 4300  # of an integer: Python reads no longer ones
# Plain digits only: the original lets Python itself read the list, which allows no others and
# no integer that begins with a 0.
_SECONDS = r"(?:\d+\.\d+|0+(?!\d)|[1-9]\d*(?!\d))"
_ITEM = re.compile(rf"\(({_SECONDS}),[ \t\n\r\f]*({_SECONDS})\)", re.ASCII)
_COMMA = re.compile(r",[ \t\n\r\f]*")
Pairs = list[tuple[float, float]]


def grounding(text: str, sample: Graded) -> Reading:
    """iou and format, both TimeZero's."""
    return time_zero(text, sample, "videochat_r1")


def grounded_choice(text: str, sample: Graded) -> Reading:
    """iou of all spans, format, and choice."""
    block = first_block(text, "glue")
    pairs = None if block is None else read_pairs(block)
    true = [(span.start_seconds, span.end_seconds) for span in sample.spans]
    answer = first_block(text, "answer")
    right = true_choice(sample)
    shaped = is_chain(text.strip(), "think", "answer", "glue") and pairs is not None
    parts = {
        "iou": 0.0 if pairs is None else merged_iou(pairs, true),
        "format": float(shaped),
        "choice": 0.0,
    }
    if answer is not None and right is not None:
        parts["choice"] = float(read_letter(answer) == read_letter(right))
    return Reading(parts, pairs is not None and answer is not None)


def read_letter(text: str) -> str:
    """The first letter of A to G after the stock beginnings are cut out; "" without one."""
    text = text.strip()
    for beginning in _BEGINNINGS:
        text = text.replace(beginning, "")
    match = _LETTER.search(text)
    return match[0] if match else ""


def read_pairs(text: str) -> Pairs | None:
    """`[(s, e), ...]` as seconds, None where it is anything else or a pair is reversed."""
    text = text[:-1] if text.endswith("]\n") else text
    if not text.startswith("[") or not text.endswith("]"):
        return None
    pairs: Pairs = []
    position = 1
    while position < len(text) - 1:
        match = _ITEM.match(text, position)
        if match is None or _too_long(match[1]) or _too_long(match[2]):
            return None
        start, end = float(match[1]), float(match[2])
        if start > end:
            return None
        pairs.append((start, end))
        position = match.end()
        comma = _COMMA.match(text, position)
        if comma is None:
            break
        # a comma may come last, and then nothing may stand between it and the bracket
        position = comma.end() if comma.end() < len(text) - 1 else position + 1
    return pairs if position == len(text) - 1 else None


def _too_long(number: str) -> bool:
    return len(number) > _MOST_DIGITS and "." not in number


def merged_iou(one: Pairs, other: Pairs) -> float:
    """Overlap over union of two lists of intervals; 1.0 where neither has any length."""
    one, other = _merged(one), _merged(other)
    overlap, i, j = 0.0, 0, 0
    while i < len(one) and j < len(other):
        overlap += max(0.0, min(one[i][1], other[j][1]) - max(one[i][0], other[j][0]))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    union = sum(e - s for s, e in one) + sum(e - s for s, e in other) - overlap
    return 1.0 if union == 0 else overlap / union


def _merged(pairs: Pairs) -> Pairs:
    result: Pairs = []
    for start, end in sorted(pairs, key=lambda pair: pair[0]):
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((start, end))
    return result
