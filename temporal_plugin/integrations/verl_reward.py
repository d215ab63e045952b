"""The reward function that verl calls: `reward.custom_reward_function`."""

from collections.abc import Mapping
from typing import Any

from temporal_plugin import answers, rewards


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    weights: Mapping[str, float],
    contract: str = "free",
    **_: Any,
) -> dict[str, float]:
    """Score one response.

    Args:
        data_source: unused; verl passes it.
        solution_str: the decoded response.
        ground_truth: the Sample's JSON, as `answers.encode_truth` wrote it.
        extra_info: unused; verl passes it.
        weights: reward name -> weight, from `reward_kwargs` in the recipe.
        contract: the answer contract that the prompt asked for.

    Returns:
        `score` (weighted sum), every part by name, and `acc`, which verl takes as the headline
        of its validation: the IoU of a grounding sample.
    """
    truth = answers.decode_truth(ground_truth)
    result = rewards.score(solution_str, truth, weights, contract=contract)
    return {**result, "acc": result.get("iou", result["score"])}
