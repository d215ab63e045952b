"""What a reward may know of a question, and what goes wrong in a reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from temporal_plugin.answers import REFUSAL, Answer, read_choice
from temporal_plugin.spans import Span

TASKS = ("grounding", "choice", "grounded_choice", "open")


class Graded(Protocol):
    """What a reward may know of a question: a Sample, or a Truth decoded from text."""

    @property
    def id(self) -> str: ...
    @property
    def spans(self) -> tuple[Span, ...]: ...
    @property
    def duration(self) -> float | None: ...
    @property
    def options(self) -> Sequence[str]: ...
    @property
    def answer(self) -> str | None: ...


Reward = Callable[..., float]
"""`reward(answer, sample, **options)`: a finite number, 0.0 for an answer that earns nothing."""


class RewardError(RuntimeError):
    """A reward function failed or returned no finite number; it is not the model's fault."""


def task_of(sample: Graded) -> str:
    """The sample's task, one of `TASKS`; told from its options and truth where it names none."""
    task = getattr(sample, "task", None)
    if task is not None:
        return task
    if sample.options:
        return "grounded_choice" if sample.spans else "choice"
    return "open" if sample.answer is not None and not sample.spans else "grounding"


def is_absent(sample: Graded) -> bool:
    """Whether the sample asks for an event that is not in the video: grounding without a span."""
    return not sample.spans and not sample.options and task_of(sample) == "grounding"


def refusal_credit(answer: Answer, sample: Graded) -> float:
    """What a sample without spans earns: 1.0 for saying that an absent event is absent."""
    return float(answer.problem == REFUSAL and is_absent(sample))


def true_choice(sample: Graded) -> str | None:
    """The letter of the right option; None where nothing is to be chosen or the truth unknown."""
    answer = sample.answer
    if not sample.options or not answer:
        return None
    if len(answer) == 1 and "A" <= answer <= "Z":
        return answer
    return _letter_of(answer, tuple(sample.options))


@lru_cache(maxsize=1024)
def _letter_of(answer: str, options: tuple[str, ...]) -> str | None:
    return read_choice(answer, options, explicit=True)


def need_duration(name: str, sample: Graded, instead: str) -> float:
    """The sample's duration in seconds.

    Raises:
        ValueError: it has none; the message says what to use `instead`.
    """
    if sample.duration is None:
        raise ValueError(
            f"reward {name!r}: sample {sample.id!r} has no duration; give it the seconds of "
            f"video that the model sees, or use {instead!r}."
        )
    return sample.duration


def one_of(reward: str, option: str, value: object, allowed: Sequence[str]) -> None:
    """Raises ValueError where an option's `value` is not among the `allowed`."""
    if value not in allowed:
        raise ValueError(
            f"reward {reward!r}: {option} is {value!r}; allowed are {', '.join(allowed)}."
        )


def between(
    reward: str, option: str, value: object, least: float, most: float = float("inf")
) -> None:
    """Raises ValueError where an option's `value` is no number from `least` to `most`."""
    if not isinstance(value, (int, float)) or not least <= value <= most:
        upper = "or more" if most == float("inf") else f"to {most}"
        raise ValueError(f"reward {reward!r}: {option} is {value!r}; it must be {least} {upper}.")
