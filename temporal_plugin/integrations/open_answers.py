"""Grading open answers while a model trains: a judge that may be slow, down or confused.

Training waits for a verdict no longer than `deadline_seconds`; what then counts is set by
`fallback`, and every such case is counted by whoever asks.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporal_plugin.integrations.judge import Judge

FALLBACKS = ("zero", "match")
_NOT_WORDS = re.compile(r"[\W_]+")
_LONGEST_MATCH = 2000


@dataclass(frozen=True)
class JudgeSettings:
    """How open answers are judged.

    Attributes:
        model: the judge's name on its server; None: no judge, answers are compared as words.
        base_url: its address up to `/v1`; None is verl's own generative reward model.
        key_variable: environment variable that holds the key.
        cache: folder of judgements that all processes and runs share, or None.
        timeout_seconds: longest wait for one reply.
        retries: further attempts after a failure that may pass.
        deadline_seconds: longest wait for a verdict, all attempts together.
        concurrency: questions under way at once in each process.
        give_up_after: failures in a row after which the judge counts as down.
        pause_seconds: how long it is then left alone.
        fallback: without a verdict an answer scores "zero", or 1.0 where its words "match" the
            truth's exactly.

    Raises:
        ValueError: a number out of range or an unknown fallback.
    """

    model: str | None = None
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    cache: str | None = None
    timeout_seconds: float = 30.0
    retries: int = 2
    deadline_seconds: float = 120.0
    concurrency: int = 8
    give_up_after: int = 5
    pause_seconds: float = 30.0
    fallback: str = "zero"

    def __post_init__(self) -> None:
        if self.fallback not in FALLBACKS:
            raise ValueError(
                f"judge.fallback is {self.fallback!r}; use one of: {', '.join(FALLBACKS)}"
            )
        if not self.deadline_seconds > 0:
            raise ValueError(
                f"judge.deadline_seconds is {self.deadline_seconds!r}; it must be above 0"
            )

    @property
    def falls_back(self) -> bool:
        """Whether a case without a verdict is graded by its words."""
        return self.fallback == "match"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`asked`: the judge was; `failed`: it gave no verdict, `right` is then the fallback's."""

    right: bool
    asked: bool
    failed: bool


class PatientJudge:
    """A judge behind a deadline. Use it from one event loop or many."""

    def __init__(self, settings: JudgeSettings, base_url: str | None) -> None:
        self.settings = settings
        self._judge = _judge(settings, base_url) if settings.model else None
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="judge")

    async def verdict(self, question: str, truth: str, answer: str) -> Verdict:
        """Whether the answer says what the truth says.

        Raises:
            ValueError: the server refuses the key or does not know the model.
        """
        same = same_words(truth, answer)
        if self._judge is None:
            return Verdict(same, asked=False, failed=False)
        asking = asyncio.get_running_loop().run_in_executor(
            self._threads, self._judge.verdict, question, truth, answer
        )
        try:
            found = await asyncio.wait_for(asking, self.settings.deadline_seconds)
        except asyncio.TimeoutError:
            found = None
        if found is not None:
            return Verdict(found, asked=True, failed=False)
        return Verdict(same and self.settings.falls_back, asked=True, failed=True)


def judge_of(given: Mapping[str, Any] | None, router_address: str | None = None) -> PatientJudge:
    """This process's judge of these settings.

    Args:
        given: the fields of JudgeSettings.
        router_address: host and port of verl's own reward model, where it has one.

    Raises:
        ValueError: no settings, an unknown one, or a model without any address.
    """
    if given is None:
        raise ValueError(
            "an open question needs a judge: set reward_kwargs.judge, such as {model: NAME, "
            "base_url: http://HOST:8000/v1}, or {fallback: match} to compare words alone"
        )
    return _judge_of(json.dumps(dict(given), sort_keys=True, default=dict), router_address)


@lru_cache(maxsize=8)
def _judge_of(text: str, router_address: str | None) -> PatientJudge:
    given = json.loads(text)
    allowed = [entry.name for entry in fields(JudgeSettings)]
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ValueError(f"unknown setting judge.{unknown[0]}; allowed: {', '.join(allowed)}")
    settings = JudgeSettings(**given)
    base_url = settings.base_url or (f"http://{router_address}/v1" if router_address else None)
    if settings.model and base_url is None:
        raise ValueError(
            f"judge.model is {settings.model!r} and nobody serves it: set judge.base_url, or "
            "reward.reward_model.enable for verl's own server"
        )
    return PatientJudge(settings, base_url)


def _judge(settings: JudgeSettings, base_url: str | None) -> Judge:
    from temporal_plugin.integrations.chat_client import ChatSettings
    from temporal_plugin.integrations.judge import Judge

    chat = ChatSettings(
        settings.model,
        base_url,
        settings.key_variable,
        timeout_seconds=settings.timeout_seconds,
        retries=settings.retries,
    )
    return Judge(
        chat,
        cache=settings.cache,
        concurrency=settings.concurrency,
        give_up_after=settings.give_up_after,
        pause_seconds=settings.pause_seconds,
    )


def same_words(truth: str, answer: str) -> bool:
    """Whether both hold the same words in the same order; case and punctuation do not count."""
    if len(answer) > _LONGEST_MATCH:
        return False
    words = [_NOT_WORDS.sub(" ", text.casefold()).strip() for text in (truth, answer)]
    return bool(words[0]) and words[0] == words[1]
