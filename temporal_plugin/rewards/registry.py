"""The rewards by name, and those of an outsider by "module:function"."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from temporal_plugin.answers import Answer
from temporal_plugin.rewards.choice import choice, dual, grounded_choice
from temporal_plugin.rewards.model import Graded, Reward, RewardError
from temporal_plugin.rewards.overlap import iop, iou, matched_iou, tiou
from temporal_plugin.rewards.reasoning import (
    format,
    length,
    repetition,
    temporal_consistency,
    timestep_pair,
)

REWARDS: dict[str, Reward] = {
    "iou": iou,
    "tiou": tiou,
    "iop": iop,
    "matched_iou": matched_iou,
    "format": format,
    "choice": choice,
    "grounded_choice": grounded_choice,
    "dual": dual,
    "temporal_consistency": temporal_consistency,
    "timestep_pair": timestep_pair,
    "length": length,
    "repetition": repetition,
}


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


def bound(name: str, options: Mapping[str, Any]) -> Reward:
    """The reward of that name with its options set, as `reward(answer, sample)`.

    Raises:
        ValueError: `resolve` does, or the reward has no such option (the message lists them).
    """
    function = resolve(name)
    if options:
        _check_options(name, function, options)
        function = partial(function, **options)
    return function if name in REWARDS else partial(_outsider, name, function)


def _check_options(name: str, function: Reward, options: Mapping[str, Any]) -> None:
    parameters = list(inspect.signature(function).parameters.values())[2:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    allowed = [parameter.name for parameter in parameters]
    for option in options:
        if option not in allowed:
            raise ValueError(
                f"reward {name!r} has no option {option!r}; allowed are: "
                f"{', '.join(('weight', *allowed))}."
            )


def _outsider(name: str, function: Reward, answer: Answer, sample: Graded) -> float:
    """Calls someone else's reward; whatever is wrong with it names the reward and the sample."""
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
