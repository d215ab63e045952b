r"""TVG-R1: the first `<time>[s, e]</time>` as JSON, and a letter in the last `\boxed{}`.

Quirks kept: the time may be any JSON that gives two values which are numbers or quoted numbers;
anything may stand between and after the blocks, and the format does not look into them; in
grounded questions the box must come after the time to keep the format.

Defined here: the original compares the box with a grader for mathematics. Here the letter is
right in any case, also as `(B)` or `\text{B}`; other notations of that grader are not known here.
"""

from __future__ import annotations

import json
import re

from temporal_plugin.rewards.compat.blocks import first_block, in_order
from temporal_plugin.rewards.compat.seed import Reading
from temporal_plugin.rewards.compat.temporal_r1 import clamped_iou
from temporal_plugin.rewards.compat.truth import duration, true_span
from temporal_plugin.rewards.model import Graded, true_choice

_BLOCKS = ("<think>", "</think>", "<time>", "</time>")
_BOX = "\\boxed{"
_LETTER = r"\s*(?:([A-Za-z])|\(\s*([A-Za-z])\s*\))\s*"
_BOXED = re.compile(rf"\\boxed\{{(?:{_LETTER}|\s*\\text\{{{_LETTER}\}}\s*)\}}")
_UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError)


def grounding(text: str, sample: Graded) -> Reading:
    """iou and format."""
    iou = _iou(text, sample)
    parts = {"iou": iou or 0.0, "format": float(in_order(text, *_BLOCKS))}
    return Reading(parts, iou is not None)


def grounded_choice(text: str, sample: Graded) -> Reading:
    """iou, format and choice."""
    iou, letter = _iou(text, sample), read_box(text)
    parts = {
        "iou": iou or 0.0,
        "format": float(in_order(text, *_BLOCKS, _BOX, "}")),
        "choice": float(letter is not None and letter == true_choice(sample)),
    }
    return Reading(parts, iou is not None and letter is not None)


def _iou(text: str, sample: Graded) -> float | None:
    seconds = duration("tvg_r1", sample)
    start, end = true_span("tvg_r1", sample)
    block = first_block(text, "time")
    if block is None:
        return None
    try:
        first, second = json.loads(block.strip())
        pair = float(first) / seconds, float(second) / seconds
    except _UNREADABLE:
        return None  # whatever the model wrote, the original gives 0
    return clamped_iou(*pair, start / seconds, end / seconds)


def read_box(text: str) -> str | None:
    """The letter in the last box, a capital; None where the box is missing, open or no letter."""
    begin = text.rfind(_BOX)
    if begin < 0:
        return None
    match = _BOXED.match(text, begin)
    return next(filter(None, match.groups())).upper() if match else None
