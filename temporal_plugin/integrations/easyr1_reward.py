"""The reward file that EasyR1 loads by its path: `worker.reward.reward_function`.

`python -m temporal_plugin.integrations.easyr1_reward` writes the path with the function's name. The
launcher (`easyr1_launch`) fills it in by itself.

EasyR1 hands a reward function the keys `response`, `response_length` and `ground_truth` only, so
that all else that scoring needs rides in the row's `answer`: the truth as `answers.encode_truth`
writes it, with the `contract` of the prompt beside its fields.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from temporal_plugin import answers, rewards

logger = logging.getLogger(__name__)
REWARD_NAME = "temporal_plugin"
REWARD_TYPE = "batch"
INPUT_KEYS = frozenset({"response", "response_length", "ground_truth"})
CONTRACT = "contract"
"""The key beside the truth's fields that names the output contract of the row's prompt."""


def compute_score(
    reward_inputs: Sequence[Mapping[str, Any]],
    *,
    weights: Mapping[str, Any],
    contract: str | None = None,
) -> list[dict[str, float]]:
    """Score a batch of responses, as `verl_reward.compute_score` does one by one.

    Args:
        reward_inputs: per response the keys `INPUT_KEYS`; `ground_truth` is the row's `answer`,
            as text, or as the object that a reader of data files made of it.
        weights: reward name -> weight, from `worker.reward.reward_function_kwargs`.
        contract: an answer contract to hold responses to instead of the rows' own
            (`answers.CONTRACTS`).

    Returns:
        Per response the same keys, all floats: `overall` (the weighted sum), every part by name,
        and `acc`, the IoU of a grounding sample (elsewhere the weighted sum).

    Raises:
        ValueError: an input has other keys, or a truth that `encode_truth` did not write.
    """
    return [_score(row, weights, contract) for row in reward_inputs]


def _score(
    row: Mapping[str, Any], weights: Mapping[str, Any], contract: str | None
) -> dict[str, float]:
    if set(row) != INPUT_KEYS:
        raise ValueError(
            f"EasyR1 handed over the keys {sorted(row)}; this file knows {sorted(INPUT_KEYS)}: "
            "use the EasyR1 that docs/easyr1.md names"
        )
    truth, own = _decode(_as_text(row["ground_truth"]))
    result = rewards.score(row["response"], truth, weights, contract=contract or own)
    parts = {name: float(value) for name, value in result.items() if name != "score"}
    overall = float(result["score"])
    return {"overall": overall, **parts, "acc": parts.get("iou", overall)}


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
def _decode(text: str) -> tuple[answers.Truth, str]:
    """The truth and the contract in an `answer`."""
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return answers.decode_truth(text), "free"  # which says what is wrong
    contract = fields.pop(CONTRACT, "free")
    return answers.decode_truth(json.dumps(fields)), contract


def reference() -> str:
    """`<path of this file>:compute_score`, as EasyR1 wants it."""
    return f"{Path(__file__).resolve()}:{compute_score.__name__}"


if __name__ == "__main__":
    sys.stdout.write(f"{reference()}\n")
