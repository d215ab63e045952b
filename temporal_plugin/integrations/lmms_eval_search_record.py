"""A whole search as the text of a response: what `temporal_search` hands to our search tasks.

lmms-eval carries one text per answer from the model class to the task, into caches and logs. So
the text is JSON, and whatever a model wrote is a string in it: no answer can pretend to have
searched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from temporal_plugin.answers import Answer

MARK = "temporal_search"
VERSION = 1
RECORD = "search_record"
"""Key of `generation_kwargs`: 1 asks the model class for a record in place of the bare answer."""


@dataclass(frozen=True)
class Record:
    """One search.

    Attributes:
        answer: the whole turn that answered; "" where none did.
        turns: the conversation after the prompt, `{"role", "text"}` each, and of a tool's result
            `seconds`: the times of its frames.
        seconds: of all frames that were shown, the preview not counted; rising, each once.
        frames: how many were shown.
        counters: of `search.conversation.COUNTERS`.
        verified: the answer from these frames alone; None where it was not asked for.
    """

    answer: str = ""
    turns: tuple[dict[str, Any], ...] = ()
    seconds: tuple[float, ...] = ()
    frames: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    verified: str | None = None

    def to_text(self) -> str:
        """The response; `from_text` of it gives an equal record."""
        return json.dumps({MARK: VERSION, **asdict(self)}, ensure_ascii=True)

    @classmethod
    def from_text(cls, text: str) -> Record:
        """The record in a response; an empty response is a search without an answer.

        Raises:
            ValueError: the response is no record: another model class gave it.
        """
        if not text:
            return cls()
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, Mapping) or found.get(MARK) != VERSION:
            raise ValueError(
                "a response is no record of a search: this task needs --model temporal_search "
                f"(generation_kwargs.{RECORD}: 1)"
            )
        return cls(
            answer=found["answer"],
            turns=tuple(found["turns"]),
            seconds=tuple(found["seconds"]),
            frames=found["frames"],
            counters=found["counters"],
            verified=found["verified"],
        )

    @property
    def searched(self) -> bool:
        """Whether at least one search brought frames; frames of the baseline are no search's."""
        return bool(self.seconds and self.counters.get("searches"))


@dataclass(frozen=True)
class Searched:
    """What the kinds of the search loop score: the parsed answer, and the search behind it."""

    answer: Answer
    record: Record


def turns_of(
    messages: Sequence[Mapping[str, Any]], results: Sequence[Sequence[float]]
) -> list[dict[str, Any]]:
    """The messages after the prompt as plain text, without their pictures.

    Args:
        results: the times of each result that holds pictures, in order.
    """
    left = list(results)
    found = []
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            found.append({"role": message["role"], "text": content})
            continue
        turn = {"role": message["role"], "text": _text(content)}
        if any(part["type"] == "image" for part in content):
            turn["seconds"] = [float(second) for second in left.pop(0)]
        found.append(turn)
    return found


def _text(content: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def times_of(results: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """All times of the results, rising, each once."""
    if not results:
        return ()
    return tuple(np.unique(np.concatenate([np.asarray(row, float) for row in results])).tolist())
