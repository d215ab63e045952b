"""Open answers (captions), judged by a local OpenAI-compatible server where one is configured."""

from __future__ import annotations

from functools import cache
from typing import Any

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import REFUSAL, Answer
from temporal_plugin.integrations.lmms_eval_failures import RequestFailed


@cache
def judge() -> Any:
    """The configured judge of this process, None where there is none.

    Raises:
        ValueError: half of its settings are missing.
    """
    from temporal_plugin.integrations.judge import Judge

    return Judge.from_environment()


@cache
def reviewer() -> Any:
    """The same server, asked whether an answer follows from the reasoning before it."""
    from temporal_plugin.integrations.judge import CONSISTENCY_INSTRUCTIONS, Judge

    return Judge.from_environment(CONSISTENCY_INSTRUCTIONS)


def require_judge(task: str) -> None:
    """Stop before anything is asked where no judge is configured.

    Raises:
        ValueError: names the settings.
    """
    if judge() is None:
        raise ValueError(
            f"{task}: it has open answers, which a language model has to judge. Start an "
            "OpenAI-compatible server and set TEMPORAL_PLUGIN_JUDGE_URL (such as "
            "http://localhost:8000/v1) and TEMPORAL_PLUGIN_JUDGE_MODEL (the model's name there), "
            "or leave the task out"
        )


def score(answer: Answer, sample: Sample) -> dict[str, float]:
    """The keys of `metrics.choice_item`; `accuracy` is what the judge says, 0 or 1.

    Raises:
        RequestFailed: the judge did not answer.
    """
    words = (answer.text or "").strip()
    verdict: bool | None = False
    if words:
        verdict = judge().verdict(sample.query, sample.answer, words)
    if verdict is None:
        raise RequestFailed("the judge did not answer")
    refused = answer.problem == REFUSAL
    return {
        "accuracy": float(verdict),
        "parse_failure": float(not words and not refused),
        "refusal": float(refused),
    }
