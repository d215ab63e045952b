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
    contract: str | None = None,
    **_: Any,
) -> dict[str, float]:
    """Score one response.

    Args:
        data_source: unused; verl passes it.
        solution_str: the decoded response.
        ground_truth: the Sample's JSON, as `answers.encode_truth` wrote it.
        extra_info: holds the `contract` of the prompt that TemporalDataset used.
        weights: reward name -> weight, from `reward_kwargs` in the recipe.
        contract: an answer contract to hold responses to instead (`answers.CONTRACTS`).

    Returns:
        `score` (weighted sum), every part by name; `acc`, which verl takes as the headline
        of its validation: the IoU of a grounding sample. `video_failure` is 1.0 where the agent
        loop had to answer without the video.
    """
    truth = answers.decode_truth(ground_truth)
    info = extra_info or {}
    contract = contract or info.get("contract", "free")
    result = rewards.score(solution_str, truth, weights, contract=contract)
    return {
        **result,
        "acc": result.get("iou", result["score"]),
        "video_failure": float(info.get("video_failure", 0.0)),
    }
