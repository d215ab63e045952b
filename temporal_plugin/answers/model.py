"""What a response turned out to say: a value in every case, with a reason where it says nothing."""

from __future__ import annotations

from dataclasses import dataclass

from temporal_plugin.spans import Span

# The reasons an answer can carry in `Answer.problem`.
NOT_TEXT = "not text"
EMPTY = "empty"
UNFINISHED = "reasoning never ended"
NO_TIME = "no time found"
ONE_TIME = "only one time found"
NO_RANGE = "no time range found"
REVERSED = "reversed span"
NEGATIVE = "negative time"
NOT_FINITE = "number out of range"
OUTSIDE = "outside the video"
REFUSAL = "refusal"  # says that there is no such moment
DECLINED = "declined to answer"
NO_CHOICE = "no choice found"

PROBLEMS = (
    NOT_TEXT,
    EMPTY,
    UNFINISHED,
    NO_TIME,
    ONE_TIME,
    NO_RANGE,
    REVERSED,
    NEGATIVE,
    NOT_FINITE,
    OUTSIDE,
    REFUSAL,
    DECLINED,
    NO_CHOICE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer of one response.

    Attributes:
        spans: seconds, in the order given, never clipped to the video; empty if none was usable.
        choice: a capital letter from "A", or None.
        reasoning: the text before the answer, without its tags.
        problem: None, or one of `PROBLEMS`.
        well_formed: the text follows the contract it was parsed with.
        text: the words of an open answer, None where the contract asks for none.
    """

    spans: tuple[Span, ...] = ()
    choice: str | None = None
    reasoning: str = ""
    problem: str | None = None
    well_formed: bool = False
    text: str | None = None
