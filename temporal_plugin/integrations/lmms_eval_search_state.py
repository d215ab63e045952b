"""One question of `temporal_search` while it is being answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.lmms_eval_base import Question
from temporal_plugin.integrations.lmms_eval_search_record import Record, times_of, turns_of
from temporal_plugin.search.conversation import SEARCH_PROMPTS, Conversation


@dataclass
class Search:
    """One question while it is being answered.

    Attributes:
        messages: the prompt.
        row: what the engine takes of the conversation so far.
        start: tokens of the prompt.
        results: the times of each result that is shown.
        said: tokens that the model has generated.
        failed: its video cannot be searched: the question fails.
    """

    question: Question
    sample: Sample
    contract: str
    messages: list[dict]
    row: Any
    start: int
    conversation: Conversation | None = None
    results: list[Any] = field(default_factory=list)
    answer: str = ""
    verified: str | None = None
    said: int = 0
    failed: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether the model has to say something more."""
        return not (self.failed or self.conversation.over)

    def record(self) -> Record:
        """What came of it."""
        talk = self.conversation
        if talk is None:  # frames at even distances, without a search
            turns = [{"role": "assistant", "text": self.answer}]
            shown, counters = sum(len(times) for times in self.results), {}
        else:
            turns = turns_of(talk.messages[len(self.messages) :], self.results)
            shown, counters = talk.counts["frames"], talk.counters()
        return Record(
            answer=self.answer if talk is None else talk.answer,
            turns=tuple(turns),
            seconds=times_of(self.results),
            frames=int(shown),
            counters=counters,
            verified=self.verified,
        )


def kind_of(sample: Sample) -> str:
    """The key of a sample's search prompt.

    Raises:
        ValueError: there is none for its task.
    """
    if sample.task not in SEARCH_PROMPTS:
        raise ValueError(
            f"sample {sample.id!r} has the task {sample.task!r}, for which there is no search "
            f"prompt; allowed: {', '.join(SEARCH_PROMPTS)}, or give prompt=FILE in --model_args"
        )
    return sample.task
