"""Reward terms and their weighted sum; every term is reported by name for every row.

A model's mistake scores 0. A mistake of ours (an unknown reward, a sample without a duration,
an outsider's function that fails) raises and names its cause. Reward workers start by the
hundred, so nothing heavy is imported here.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from temporal_plugin import spans
from temporal_plugin.answers import REFUSAL, Answer, parse
from temporal_plugin.spans import Span


class Graded(Protocol):
    """What a reward may know of a question: a Sample, or a Truth decoded from text."""

    @property
    def id(self) -> str: ...
    @property
    def spans(self) -> tuple[Span, ...]: ...
    @property
    def duration(self) -> float | None: ...
    @property
    def options(self) -> Sequence[str]: ...
    @property
    def answer(self) -> str | None: ...


Reward = Callable[[Answer, Graded], float]


class RewardError(RuntimeError):
    """A reward function failed or returned no finite number; it is not the model's fault."""


def iou(answer: Answer, sample: Graded) -> float:
    """Intersection over union with the true spans, in [0, 1].

    A sample without spans asks about something that is not in the video: 1.0 for saying so.
    """
    if not sample.spans:
        return float(answer.problem == REFUSAL)
    if not answer.spans:
        return 0.0
    return spans.iou(answer.spans, sample.spans)


def tiou(answer: Answer, sample: Graded) -> float:
    """Timestamp-aware IoU of Time-R1 (see `spans.tiou`), in [0, 1]; needs `sample.duration`."""
    if not sample.spans:
        return float(answer.problem == REFUSAL)
    if sample.duration is None:
        raise ValueError(
            f"reward 'tiou': sample {sample.id!r} has no duration; give it the seconds of video "
            "that the model sees, or use 'iou'."
        )
    if not answer.spans:
        return 0.0
    return spans.tiou(answer.spans, sample.spans, sample.duration)


def format(answer: Answer, sample: Graded) -> float:
    """1.0 if the response kept its output contract, otherwise 0.0."""
    return float(answer.well_formed)


REWARDS: dict[str, Reward] = {"iou": iou, "tiou": tiou, "format": format}


def score(
    text: str,
    sample: Graded,
    weights: Mapping[str, float],
    *,
    contract: str = "free",
) -> dict[str, float]:
    """Scores one response: `{"score": weighted sum, <reward>: unweighted value, ...}`.

    Every row has the same keys: "score", those of `weights`, and "parse_failure", which is 1.0
    if the response held no usable answer to what the sample asks.

    Args:
        text: the model's response.
        sample: the question's truth.
        weights: by reward: a key of `REWARDS`, or "module:function" for one of your own.
        contract: the output contract that the prompt asked for, a key of `answers.CONTRACTS`.

    Raises:
        ValueError: an unknown reward or contract, a weight that is not finite, no weights.
        RewardError: an outsider's reward raised, or returned something that is not finite.
    """
    answer = parse(
        text,
        options=sample.options or None,
        duration_seconds=sample.duration,
        contract=contract,
        question=getattr(sample, "query", None),
    )
    return score_answer(answer, sample, weights)


def score_answer(answer: Answer, sample: Graded, weights: Mapping[str, float]) -> dict[str, float]:
    """Like `score`, for a response that is parsed already."""
    if not weights:
        raise ValueError(f"no reward weights given; use some of: {', '.join(REWARDS)}.")
    total, parts = 0.0, {}
    for name, weight in weights.items():
        function = REWARDS.get(name)
        value = function(answer, sample) if function else _outsider(name, answer, sample)
        parts[name] = value
        total += weight * value
    if not math.isfinite(total):
        raise ValueError(f"reward weights must be finite numbers, they are {dict(weights)}.")
    return {"score": total, **parts, "parse_failure": float(is_failure(answer, sample))}


def is_failure(answer: Answer, sample: Graded) -> bool:
    """Whether the answer lacks what the sample asks for: spans, a choice, or both.

    A refusal is understood, so it is no failure; it scores 0 where there is something to find.
    """
    if answer.problem == REFUSAL:
        return False
    if sample.spans and not answer.spans:
        return True
    if sample.options:
        return answer.choice is None
    return answer.problem is not None


def _outsider(name: str, answer: Answer, sample: Graded) -> float:
    function = resolve(name)
    try:
        value = float(function(answer, sample))
    except Exception as error:
        raise RewardError(
            f"reward {name!r} failed on sample {sample.id!r}: {type(error).__name__}: {error}"
        ) from error
    if not math.isfinite(value):
        raise RewardError(
            f"reward {name!r} returned {value!r} for sample {sample.id!r}; a reward must be a "
            "finite number. Return 0.0 for an answer that cannot be scored."
        )
    return value


@lru_cache(maxsize=256)
def resolve(name: str) -> Reward:
    """The reward function of that name, a key of `REWARDS` or "module:function".

    Raises:
        ValueError: there is no such reward, module or function.
    """
    if name in REWARDS:
        return REWARDS[name]
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise ValueError(
            f"reward {name!r} is unknown; use one of: {', '.join(REWARDS)}, "
            "or 'module:function' for one of your own."
        )
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"reward {name!r} cannot be loaded ({error}); module {module_name!r} must be "
            f"importable and define {function_name!r}."
        ) from error
    if not callable(function):
        raise ValueError(f"reward {name!r} is not a function; it is {function!r}.")
    return function
