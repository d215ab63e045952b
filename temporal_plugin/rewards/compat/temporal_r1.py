"""Temporal-R1: a JSON object in the first answer block, IoU of normalised times, strict format.

Quirks kept: only the first answer block counts; a number may be quoted for the IoU, and must be
for the format, keys in this order; the text is not stripped; anything wrong gives an IoU of 0.

The published code knows grounding only; the paper's reward for multiple choice was not released,
see the reward `dual`.
"""

from __future__ import annotations

import json
import re

from temporal_plugin.rewards.compat.blocks import first_block
from temporal_plugin.rewards.compat.seed import Reading
from temporal_plugin.rewards.compat.truth import duration, true_span
from temporal_plugin.rewards.model import Graded

_OPEN, _CLOSE = "<think>", "</think>"
_END = re.compile(
    r'</think>\s*<answer>\s*\{\s*"start_time"\s*:\s*"[\d.]+"\s*,'
    r'\s*"end_time"\s*:\s*"[\d.]+"\s*\}\s*</answer>'
)
_UNREADABLE = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


def temporal_r1(text: str, sample: Graded) -> Reading:
    """iou and format."""
    seconds = duration("temporal_r1", sample)
    start, end = (value / seconds for value in true_span("temporal_r1", sample))
    pair = _read(text)
    iou = 0.0
    if pair is not None:
        iou = clamped_iou(pair[0] / seconds, pair[1] / seconds, start, end)
    return Reading({"iou": iou, "format": format_part(text)}, pair is not None)


def _read(text: str) -> tuple[float, float] | None:
    block = first_block(text, "answer")
    if block is None:
        return None
    try:
        answer = json.loads(block.strip())
        return float(answer["start_time"]), float(answer["end_time"])
    except _UNREADABLE:
        return None  # whatever the model wrote, the original gives 0


def format_part(text: str) -> float:
    r"""All of the text is `<think>.*?</think>\s*<answer>`, the object with quotes, `</answer>`."""
    close = text.rfind(_CLOSE)  # what follows it can hold no second one
    if close < len(_OPEN) or not text.startswith(_OPEN):
        return 0.0
    return float(_END.fullmatch(text, close) is not None)


def clamped_iou(start: float, end: float, true_start: float, true_end: float) -> float:
    """Overlap over hull, never negative; 0.0 where the hull has no length or is not a number."""
    hull = max(end, true_end) - min(start, true_start)
    if hull == 0:
        return 0.0
    return max(0, max(min(end, true_end) - max(start, true_start), 0) / hull)
