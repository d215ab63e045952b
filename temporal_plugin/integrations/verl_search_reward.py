"""The reward function of `temporal_search`: `reward.custom_reward_function` of its recipe.

reward_kwargs:
  variant: code                   # or paper
  weights: {format: 1.0, accuracy: 0.5, completeness: 0.5}
  judge: {model: Qwen2.5-72B-Instruct, base_url: http://judge:8000/v1, cache: judgements}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporal_plugin import answers, rewards
from temporal_plugin.integrations.open_answers import judge_of
from temporal_plugin.rewards.search import completeness, search_weights
from temporal_plugin.search.conversation import COUNTERS

SEARCH = "search"  # in extra_info: what the agent loop found, see verl_search_loop
JUDGE_COUNTERS = ("judge_asked", "judge_failures", "judge_fallbacks")


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    variant: str = "code",
    weights: Mapping[str, float] | None = None,
    judge: Mapping[str, Any] | None = None,
    reward_router_address: str | None = None,
    **_: Any,
) -> dict[str, float]:
    """Score one rollout of the agent loop `temporal_search`.

    Args:
        data_source, solution_str: unused; the turns are read by the agent loop.
        ground_truth: the Sample's JSON, as `answers.encode_truth` wrote it.
        extra_info: holds the prompt's `contract`, and under SEARCH what the loop found.
        variant: "code" or "paper", see `rewards.search`.
        weights: of format, accuracy and completeness; the variant's own where not given.
        judge: of open answers, see `open_answers.JudgeSettings`.
        reward_router_address: where verl's own generative reward model answers, host and port;
            verl gives it where `reward.reward_model.enable` is set.

    Returns:
        `score`, its three parts, `acc` (the accuracy: verl's headline of a validation),
        `verified_accuracy` (of the second answer), `video_failure`, and the counters of the
        search and of the judge. The same keys in all rows.

    Raises:
        ValueError: a wrong setting, an open question without a judge, or a judge that refuses
            the key or does not know the model.
    """
    truth = answers.decode_truth(ground_truth)
    info = extra_info or {}
    found = info.get(SEARCH) or {}  # absent where the preview could not be read
    counts = dict.fromkeys(JUDGE_COUNTERS, 0.0)
    grade = _Grader(truth, judge, reward_router_address, counts)
    contract = info.get("contract", "free")
    accuracy = await grade(found.get("answer") or "", contract)
    second = found.get("verified")
    verified = None if second is None else await grade(second["text"], second["contract"])
    parts = {
        "format": _format(found, truth, contract),
        "accuracy": accuracy,
        "completeness": completeness(accuracy, verified, variant=variant),
    }
    weighed = search_weights(weights, variant)
    return {
        "score": sum(weighed[name] * value for name, value in parts.items()),
        **parts,
        "acc": accuracy,
        "verified_accuracy": verified or 0.0,
        "video_failure": float(info.get("video_failure", 0.0)),
        **dict.fromkeys(COUNTERS, 0.0),
        **found.get("counters", {}),
        **counts,
    }


def _format(found: Mapping[str, Any], truth: answers.Truth, contract: str) -> float:
    """1.0 where every turn kept the form and the last one the answer's contract."""
    if not found.get("well_formed"):
        return 0.0
    return float(_parsed(found["answer"], truth, contract).well_formed)


def _parsed(text: str, truth: answers.Truth, contract: str) -> answers.Answer:
    return answers.parse(
        text,
        options=truth.options or None,
        duration_seconds=truth.duration,
        contract=contract,
        question=truth.query,
    )


class _Grader:
    """The accuracy of answers to one question, in [0, 1]; an answer that says nothing gets 0."""

    def __init__(self, truth, judge, router: str | None, counts: dict[str, float]) -> None:
        self._truth, self._judge, self._router = truth, judge, router
        self._counts = counts

    async def __call__(self, text: str, contract: str) -> float:
        if not text.strip():
            return 0.0
        task = rewards.task_of(self._truth)
        answer = _parsed(text, self._truth, contract)
        if task == "open":
            return await self._open(answer)
        name = "iou" if task == "grounding" else task
        return float(rewards.REWARDS[name](answer, self._truth))

    async def _open(self, answer: answers.Answer) -> float:
        if not answer.text:
            return 0.0
        judge = judge_of(self._judge, self._router)
        verdict = await judge.verdict(self._truth.query, self._truth.answer or "", answer.text)
        self._counts["judge_asked"] += float(verdict.asked)
        self._counts["judge_failures"] += float(verdict.failed)
        self._counts["judge_fallbacks"] += float(verdict.failed and judge.settings.falls_back)
        return float(verdict.right)
