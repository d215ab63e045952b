"""TimeZero and Time-R1: seconds as "a to b" in the last answer block, IoU, and format.

Quirks kept: exactly one space on either side of "to" or "and" and no unit, so that "12.5s to
17s" and "12-17" are no answer; "00:12 to 00:17" is read as 12 to 0; a sign is lost; a reversed
span is not swapped and nothing is clipped. A doubled block still has the right format. Time-R1's
tIoU keeps its factors unclamped, so that a truth far past the end of the video makes it negative.

Defined here: IoU is 0.0 where the hull has no length (the original fails, or takes the value of
the sample before).
"""

from __future__ import annotations

from temporal_plugin.rewards.compat.blocks import has_step, is_chain, last_block, last_pair
from temporal_plugin.rewards.compat.seed import Reading
from temporal_plugin.rewards.compat.truth import duration, hull_iou, true_span
from temporal_plugin.rewards.model import Graded

# Of Time-R1's fine-tuning script, which logs them and gives them no weight.
_KEYWORDS = ("analyze", "compare", "deduce", "however", "therefore", "because", "step")
_KEYWORDS += ("observe", "notice", "identify", "wait")


def read_pair(text: str) -> tuple[float, float] | None:
    """Start and end as TimeZero reads them, in seconds, whatever their order."""
    block = last_block(text, "answer")
    pair = None if block is None else last_pair(block)
    return None if pair is None else (float(pair[0]), float(pair[1]))


def format_part(text: str) -> float:
    r"""All of the stripped text is `<think>.*?</think>\s*<answer>.*?</answer>`."""
    return float(is_chain(text.strip(), "think", "answer"))


def time_zero(text: str, sample: Graded, seed: str = "timezero") -> Reading:
    """iou and format."""
    span = true_span(seed, sample)
    pair = read_pair(text)
    iou = 0.0 if pair is None else hull_iou(*pair, *span)
    return Reading({"iou": iou, "format": format_part(text)}, pair is not None)


def time_r1(text: str, sample: Graded) -> Reading:
    """iou, iou_v2 (tIoU), format, and the four parts that are only logged."""
    start, end = true_span("time_r1", sample)
    seconds = duration("time_r1", sample)
    pair = read_pair(text)
    iou = tiou = 0.0
    if pair is not None:
        iou = hull_iou(*pair, start, end)
        near_start = 1 - abs(start / seconds - pair[0] / seconds)
        near_end = 1 - abs(end / seconds - pair[1] / seconds)
        tiou = iou * near_start * near_end
    parts = {"iou": iou, "iou_v2": tiou, "format": format_part(text), **logged_parts(text)}
    return Reading(parts, pair is not None)


def logged_parts(text: str) -> dict[str, float]:
    """Time-R1's metrics of the last think block: its times, length, keywords and lines."""
    block = (last_block(text, "think") or "").strip()
    words = block.lower()
    lines = sum(bool(line.strip()) for line in block.split("\n"))
    return {
        "timestep_pair": 0.2 * has_step(block),
        "length": 0.001 * min(len(block), 500),
        "keywords": 0.1 * min(2, sum(word in words for word in _KEYWORDS)),
        "paragraphs": 0.05 * min(lines, 2),
    }
