"""Rewards for the form of a response and for its reasoning. All are in [0, 1]."""

from __future__ import annotations

import re
from itertools import pairwise

from temporal_plugin import spans
from temporal_plugin.answers import Answer, named_spans
from temporal_plugin.rewards.model import Graded, between, refusal_credit
from temporal_plugin.spans import Span

_TIMESTEP, _TIMESTEP_END = "<timestep>", "</timestep>"
_LONGEST_PAIR = 64  # characters between the two tags
_PAIR = re.compile(r"\d{1,9}(?:\.\d{0,9})? ?s? {0,3}to {0,3}\d{1,9}(?:\.\d{0,9})? ?s?")
_MOST_WORDS = 16_384  # of a reasoning, from its end


def format(answer: Answer, sample: Graded) -> float:
    """1.0 if the response kept its output contract, otherwise 0.0."""
    return float(answer.well_formed)


def timestep_pair(answer: Answer, sample: Graded, *, count: int = 1) -> float:
    """The share of `count` marked times `<timestep>a to b</timestep>` that the reasoning holds.

    After Time-R1, which logs `0.2 * min(pairs, 1)`.

    Raises:
        ValueError: `count` is below 1.
    """
    between("timestep_pair", "count", count, 1)
    pairs, at = 0, answer.reasoning.find(_TIMESTEP)
    while at >= 0 and pairs < count:
        begin = at + len(_TIMESTEP)
        end = answer.reasoning.find(_TIMESTEP_END, begin, begin + _LONGEST_PAIR)
        if end >= 0 and _PAIR.fullmatch(answer.reasoning[begin:end].strip().lower()):
            pairs += 1
        at = answer.reasoning.find(_TIMESTEP, begin)
    return min(1.0, pairs / count)


def length(
    answer: Answer,
    sample: Graded,
    *,
    min_chars: int = 0,
    max_chars: int = 2000,
    fade_chars: int = 500,
) -> float:
    """1.0 for a reasoning of `min_chars` to `max_chars` characters.

    Below it rises in a line from 0.0 without reasoning, above it falls in a line to 0.0 at
    `max_chars + fade_chars`. Time-R1 logs `0.001 * min(characters, 500)`: that is half of this
    reward with `min_chars=500` and an endless `max_chars`.

    Raises:
        ValueError: an option is negative, or `max_chars` lies below `min_chars`.
    """
    between("length", "min_chars", min_chars, 0)
    between("length", "max_chars", max_chars, min_chars)
    between("length", "fade_chars", fade_chars, 0)
    chars = len(answer.reasoning)
    if chars < min_chars:
        return chars / min_chars
    over = chars - max_chars
    if over <= 0:
        return 1.0
    return max(0.0, 1.0 - over / fade_chars) if fade_chars else 0.0


def repetition(answer: Answer, sample: Graded, *, ngram: int = 4) -> float:
    """1.0 for a reasoning that repeats nothing: distinct word n-grams over all of them.

    Words are what white space parts, in lower case. A reasoning of fewer than `ngram` words
    repeats nothing; of a very long one the last 16,384 words count.

    Raises:
        ValueError: `ngram` is below 1.
    """
    between("repetition", "ngram", ngram, 1)
    words = answer.reasoning.lower().rsplit(maxsplit=_MOST_WORDS)[-_MOST_WORDS:]
    total = len(words) - ngram + 1
    if total <= 1:
        return 1.0
    return len(set(zip(*(words[i:] for i in range(ngram)), strict=False))) / total


def temporal_consistency(
    answer: Answer,
    sample: Graded,
    *,
    order_weight: float = 0.5,
    unnamed: float = 0.0,
) -> float:
    """Whether the time ranges that the reasoning names support the final answer.

    `coverage * (1 - order_weight + order_weight * order)`, where

    - coverage is the mean over the answered spans of the best IoU with what the reasoning names:
      one of its ranges, or the union of those that lie in the span by half or more. So a range
      that holds the whole video supports little;
    - order looks at the ranges that lie by half or more in the answer, in the order in which the
      reasoning names them: the share of steps that do not go back in time, 1.0 without a step.
      Ranges that it looked at and rejected do not count.

    It does not compare with the truth, only an answer without a span earns nothing: combine it
    with `iou`. For an event that is not in the video see `iou`.

    Args:
        order_weight: how much of the reward the order decides, in [0, 1].
        unnamed: the reward of a reasoning that names no range at all, in [0, 1].

    Raises:
        ValueError: an option lies outside [0, 1].
    """
    between("temporal_consistency", "order_weight", order_weight, 0.0, 1.0)
    between("temporal_consistency", "unnamed", unnamed, 0.0, 1.0)
    if not sample.spans:
        return refusal_credit(answer, sample)
    if not answer.spans:
        return 0.0
    named = named_spans(answer.reasoning, duration_seconds=sample.duration)
    if not named:
        return float(unnamed)
    coverage = sum(_support(span, named) for span in answer.spans) / len(answer.spans)
    order = _forward(named, answer.spans)
    return coverage * (1.0 - order_weight + order_weight * order)


def _support(span: Span, named: tuple[Span, ...]) -> float:
    inside = [one for one in named if spans.iop(one, span) >= 0.5]
    return max(spans.iou(inside, span), max(spans.iou(one, span) for one in named))


def _forward(named: tuple[Span, ...], answered: tuple[Span, ...]) -> float:
    starts = [one.start_seconds for one in named if spans.iop(one, answered) >= 0.5]
    if len(starts) < 2:
        return 1.0
    return sum(after >= before for before, after in pairwise(starts)) / (len(starts) - 1)
