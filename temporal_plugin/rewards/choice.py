"""Rewards for multiple choice, alone and together with the spans that prove the choice."""

from __future__ import annotations

from temporal_plugin import spans
from temporal_plugin.answers import Answer
from temporal_plugin.rewards import overlap
from temporal_plugin.rewards.model import Graded, between, need_duration, one_of, true_choice

OVERLAPS = ("iou", "iop", "tiou")
COMBINATIONS = ("sum", "product")


def choice(answer: Answer, sample: Graded) -> float:
    """1.0 for the letter of the right option, otherwise 0.0; 0.0 where nothing is to be chosen."""
    right = true_choice(sample)
    return float(right is not None and answer.choice == right)


def grounded_choice(
    answer: Answer,
    sample: Graded,
    *,
    overlap: str = "iop",
    threshold: float | None = 0.5,
) -> float:
    """1.0 for the right letter proved by the right time, otherwise 0.0.

    NExT-GQA's Acc@GQA is the default (IoP of 0.5 or more), ReXTime's is `overlap="iou"`.
    A threshold of None gives the overlap itself, in [0, 1], where the letter is right.

    Args:
        overlap: "iou", "iop" or "tiou", of the answered spans with the true ones.
        threshold: the least overlap that proves the choice.

    Raises:
        ValueError: an option is not allowed, or "tiou" and the sample has no duration.
    """
    if threshold is not None:
        between("grounded_choice", "threshold", threshold, 0.0)
    value = _overlap("grounded_choice", overlap, answer, sample) if sample.spans else 0.0
    if choice(answer, sample) == 0.0 or not answer.spans:
        return 0.0
    return value if threshold is None else float(value >= threshold and bool(sample.spans))


def dual(
    answer: Answer,
    sample: Graded,
    *,
    combine: str = "sum",
    semantic: float = 0.5,
    temporal: float = 0.5,
    overlap: str = "iou",
) -> float:
    """Temporal-R1's two rewards: discrete for what is right, continuous for when. In [0, 1].

    A choice earns the semantic reward (right letter, 0 or 1), grounding the temporal one (the
    overlap). A grounded choice earns both: with "sum" their mean weighted by `semantic` and
    `temporal`, with "product" their product, so that neither counts alone. The paper gives no
    weights for this case; these are settings.

    Args:
        combine: "sum" or "product".
        semantic: weight of the right letter in the sum, 0 or more.
        temporal: weight of the overlap in the sum, 0 or more.
        overlap: "iou" (as in Temporal-R1), "iop" or "tiou".

    Raises:
        ValueError: an option is not allowed, or "tiou" and the sample has no duration.
    """
    one_of("dual", "combine", combine, COMBINATIONS)
    between("dual", "semantic", semantic, 0.0)
    between("dual", "temporal", temporal, 0.0)
    when = _overlap("dual", overlap, answer, sample)
    if true_choice(sample) is None:
        return when
    right = choice(answer, sample)
    if not sample.spans:
        return right
    if combine == "product":
        return right * when
    if semantic + temporal <= 0.0:
        raise ValueError("reward 'dual': semantic and temporal are both 0; give one a weight.")
    return min(1.0, (semantic * right + temporal * when) / (semantic + temporal))


def _overlap(reward: str, name: str, answer: Answer, sample: Graded) -> float:
    one_of(reward, "overlap", name, OVERLAPS)
    if name == "tiou" and sample.spans:
        duration = need_duration(reward, sample, f"{reward} with overlap=iou")
        return spans.tiou(answer.spans, sample.spans, duration) if answer.spans else 0.0
    return overlap.iop(answer, sample) if name == "iop" else overlap.iou(answer, sample)
