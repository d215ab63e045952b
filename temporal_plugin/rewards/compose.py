"""The weighted sum of rewards; every part is reported by name for every row."""

from __future__ import annotations

from temporal_plugin.answers import REFUSAL, Answer, parse
from temporal_plugin.rewards.model import Graded
from temporal_plugin.rewards.weights import Weights, plan_of


def score(
    text: str, sample: Graded, weights: Weights, *, contract: str = "free"
) -> dict[str, float]:
    """Scores one response: `{"score": weighted sum, <reward>: unweighted value, ...}`.

    Every row of a run has the same keys: "score", every reward of `weights`, and
    "parse_failure", which is 1.0 if the response held no usable answer to what the sample asks.
    With weights by task a reward that the row's task does not have is 0.0, and for each reward
    that not all tasks have the key `<reward>_applies` says whether this row's has (1.0 or 0.0).

    Args:
        text: the model's response.
        sample: the question's truth.
        weights: by reward, a key of `REWARDS` or "module:function" for one of your own: a weight,
            or a mapping of `weight` and the reward's options. Or such mappings by task.
        contract: the output contract that the prompt asked for, a key of `answers.CONTRACTS`.

    Raises:
        ValueError: an unknown reward, option or contract, a weight that is not finite, no
            weights, none for the sample's task, or a sample that lacks what a reward needs.
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


def score_answer(answer: Answer, sample: Graded, weights: Weights) -> dict[str, float]:
    """Like `score`, for a response that is parsed already."""
    terms, absent = plan_of(weights).for_sample(sample)
    total, row = 0.0, {"score": 0.0}
    for name, weight, reward in terms:
        value = row[name] = reward(answer, sample)
        total += weight * value
    row["score"] = total
    if absent:
        row.update(absent)
    row["parse_failure"] = float(is_failure(answer, sample))
    return row


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
