"""Reward terms and their weighted sum; every term is reported by name for every row.

A model's mistake scores 0. A mistake of ours (an unknown reward, a sample without a duration,
an outsider's function that fails) raises and names its cause. Reward workers start by the
hundred, so nothing heavy is imported here. The table of all rewards is in docs/rewards.md.
"""

from temporal_plugin.rewards.compat import SEEDS, score_like
from temporal_plugin.rewards.compose import is_failure, score, score_answer
from temporal_plugin.rewards.model import TASKS, Graded, Reward, RewardError, task_of
from temporal_plugin.rewards.registry import REWARDS, resolve
from temporal_plugin.rewards.shuffle import mirrored, order_sensitivity, shuffle_consistency
from temporal_plugin.rewards.weights import APPLIES

__all__ = [
    "APPLIES",
    "REWARDS",
    "SEEDS",
    "TASKS",
    "Graded",
    "Reward",
    "RewardError",
    "is_failure",
    "mirrored",
    "order_sensitivity",
    "resolve",
    "score",
    "score_answer",
    "score_like",
    "shuffle_consistency",
    "task_of",
]
