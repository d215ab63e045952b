"""The reward file that EasyR1 loads by its path: `worker.reward.reward_function`.

`python -m temporal_plugin.integrations.easyr1_reward` writes the path with the function's name. The
launcher (`easyr1_launch`) fills it in by itself.

EasyR1 hands a reward function the keys `response`, `response_length` and `ground_truth` only, so
that all else that scoring needs rides in the row's `answer`: the truth as `answers.encode_truth`
writes it, with the `contract` of the prompt beside its fields.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from temporal_plugin.integrations import verl_reward

REWARD_NAME = "temporal_plugin"
REWARD_TYPE = "batch"
INPUT_KEYS = frozenset({"response", "response_length", "ground_truth"})
CONTRACT = "contract"
"""The key beside the truth's fields that names the output contract of the row's prompt."""

SETTINGS = tuple(
    name
    for name, parameter in inspect.signature(verl_reward.compute_score).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
)
"""What `worker.reward.reward_function_kwargs` may hold: the settings of `verl_reward`."""


def compute_score(
    reward_inputs: Sequence[Mapping[str, Any]], **settings: Any
) -> list[dict[str, float]]:
    """Score a batch of responses by `verl_reward.compute_score`, so that both trainers agree.

    Args:
        reward_inputs: per response the keys `INPUT_KEYS`; `ground_truth` is the row's `answer`,
            as text, or as the object that a reader of data files made of it.
        settings: those of `verl_reward.compute_score` (`weights`, `contract`, ...); a `contract`
            is held to instead of the rows' own.

    Returns:
        Per response the same keys, all floats: `overall` (verl's `score`), every part by name, and
        `acc`, as in verl.

    Raises:
        ValueError: an input has other keys, a setting is unknown, or a truth was not written by
            `answers.encode_truth`.
    """
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise ValueError(
            f"worker.reward.reward_function_kwargs holds {unknown}; allowed: {SETTINGS}"
        )
    return [_score(row, settings) for row in reward_inputs]


def _score(row: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, float]:
    if set(row) != INPUT_KEYS:
        raise ValueError(
            f"EasyR1 handed over the keys {sorted(row)}; this file knows {sorted(INPUT_KEYS)}: "
            "use the EasyR1 that docs/easyr1.md names"
        )
    truth, contract = _split(_as_text(row["ground_truth"]))
    info = {} if contract is None else {CONTRACT: contract}
    result = verl_reward.compute_score("", row["response"], truth, info, **settings)
    found = {name: float(value) for name, value in result.items()}
    return {"overall": found.pop("score"), **found}


def _as_text(ground_truth: Any) -> str:
    """The truth as JSON; readers that parse it fill keys which other rows have with nulls."""
    if isinstance(ground_truth, Mapping):
        fields = {name: value for name, value in ground_truth.items() if value is not None}
        return json.dumps(fields, default=_plain)
    return ground_truth


def _plain(value: Any) -> Any:
    """A list of an array, as numpy's or Arrow's readers give."""
    return value.tolist()


@lru_cache(maxsize=4096)  # the rollouts of a group have one truth
def _split(text: str) -> tuple[str, str | None]:
    """The truth and the contract in an `answer`; what is not ours, as it is."""
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text, None  # decode_truth says what is wrong
    if not isinstance(fields, dict) or CONTRACT not in fields:
        return text, None
    contract = fields.pop(CONTRACT)
    return json.dumps(fields, ensure_ascii=False), contract


def reference() -> str:
    """`<path of this file>:compute_score`, as EasyR1 wants it."""
    return f"{Path(__file__).resolve()}:{compute_score.__name__}"


if __name__ == "__main__":
    sys.stdout.write(f"{reference()}\n")
