"""The reward function that verl calls: `reward.custom_reward_function`.

EasyR1's reward file calls the same function, so both hosts give a response the same score.
"""

from collections.abc import Mapping
from typing import Any

from temporal_plugin import answers, rewards
from temporal_plugin.rewards import APPLIES, Graded

CHANGED_RESPONSE = "changed_response"  # in extra_info: the answer to the reordered video
SHUFFLE = "shuffle_consistency"
_HEADLINES = {"choice": ("choice",), "grounded_choice": ("choice", "iou")}


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    weights: Mapping[str, Any] | None = None,
    contract: str | None = None,
    compat: str | None = None,
    shuffle_consistency: Mapping[str, Any] | None = None,
    **_: Any,
) -> dict[str, float]:
    """Score one response.

    Args:
        data_source: unused; verl passes it.
        solution_str: the decoded response.
        ground_truth: the Sample's JSON, as `answers.encode_truth` wrote it.
        extra_info: holds the `contract` of the prompt that TemporalDataset used.
        weights: from `reward_kwargs` in the recipe: reward name -> weight, or a mapping of
            `weight` and the reward's options; or such mappings by task. See docs/rewards.md.
        contract: an answer contract to hold responses to instead (`answers.CONTRACTS`).
        compat: a key of `rewards.SEEDS`: score as that published system does, by its parser and
            its formula. `weights` are then those of its parts, and may be left out.
        shuffle_consistency: {weight, order}, with `data.temporal.shuffle_consistency` set to
            the same order: adds the reward of that name, which is 0.0 and does not apply where
            there is no second answer.

    Returns:
        `score` (weighted sum), every part by name; `acc`, which verl takes as the headline
        of its validation: the IoU of a grounding sample, whether the letter of a choice is
        right, and the score where the weights name neither. `video_failure` is 1.0 where the
        agent loop had to answer without the video. The keys are the same in all rows of a run.

    Raises:
        ValueError: neither weights nor compat, or as `rewards.score` and `rewards.score_like`.
    """
    truth = answers.decode_truth(ground_truth)
    info = extra_info or {}
    contract = contract or info.get("contract", "free")
    if compat is not None:
        row = rewards.score_like(compat, solution_str, truth, weights)
    elif weights is not None:
        row = rewards.score(solution_str, truth, weights, contract=contract)
    else:
        raise ValueError(
            "compute_score has neither weights nor compat; set reward_kwargs.weights, for "
            "example {iou: 1.0, format: 0.1}."
        )
    if shuffle_consistency is not None:
        _add_shuffle(row, solution_str, truth, info, contract, **shuffle_consistency)
    return {
        **row,
        "acc": _headline(row, truth),
        "video_failure": float(info.get("video_failure", 0.0)),
    }


def _headline(row: Mapping[str, float], truth: Graded) -> float:
    for name in _HEADLINES.get(rewards.task_of(truth), ("iou",)):
        if name in row and row.get(name + APPLIES, 1.0):
            return row[name]
    return row["score"]


def _add_shuffle(
    row: dict[str, float],
    response: str,
    truth: answers.Truth,
    info: Mapping[str, Any],
    contract: str,
    *,
    weight: float,
    order: str,
) -> None:
    """Adds the part to the row, and its share to the score."""
    changed = info.get(CHANGED_RESPONSE)
    value = 0.0
    if changed is not None:
        first, second = (
            answers.parse(
                text,
                options=truth.options or None,
                duration_seconds=truth.duration,
                contract=contract,
                question=truth.query,
            )
            for text in (response, changed)
        )
        value = rewards.shuffle_consistency(first, second, truth, order=order)
    row[SHUFFLE] = value
    row[SHUFFLE + APPLIES] = float(changed is not None)
    row["score"] += weight * value
