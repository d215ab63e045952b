"""How long a search of several turns may go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from temporal_plugin.search.tool import MOST_FRAMES


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a search may go on.

    Attributes:
        turns: turns of the model, the last of which is its forced answer.
        frames_per_call: the most frames that a call may ask for.
        tokens_per_turn: new tokens of one turn.
        tokens: of everything after the prompt, tool results included.
        retries: malformed turns that are asked for again; one more, and it must answer.

    Raises:
        ValueError: a number is not whole or below its least.
    """

    turns: int = 8
    frames_per_call: int = MOST_FRAMES
    tokens_per_turn: int = 256
    tokens: int = 16_000
    retries: int = 1

    def __post_init__(self) -> None:
        least = {"turns": 2, "frames_per_call": 1, "tokens_per_turn": 1, "tokens": 1, "retries": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < bound:
                raise ValueError(f"search limit {name} is {value!r}; it must be {bound} or more")

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any] | None) -> Limits:
        """Limits from settings.

        Raises:
            ValueError: an unknown name (the message lists those allowed), or as above.
        """
        given = dict(given or {})
        allowed = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise ValueError(f"unknown search limit {unknown[0]!r}; allowed: {', '.join(allowed)}")
        return cls(**given)

    def as_dict(self) -> dict[str, int]:
        """The limits by name."""
        return asdict(self)
