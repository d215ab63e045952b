"""A search over several turns, without a host: whose turn it is, what is said, when it ends.

The host generates and searches; this object reads what the model said and gives the messages to
append. Both the training rollout and the evaluation drive it, so that they cannot differ.

    conversation = Conversation(messages, duration_seconds=600.0)
    while not conversation.over:
        step = conversation.said(generate(conversation.messages))
        if isinstance(step, Call):
            conversation.found(search(step))  # or .failed("why")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from temporal_plugin import prompts
from temporal_plugin.answers import contract_named
from temporal_plugin.search import tool
from temporal_plugin.search.tool import Call
from temporal_plugin.search.turns import (
    CUT,
    FinalAnswer,
    Malformed,
    ToolCall,
    parse_turn,
)

if TYPE_CHECKING:
    from temporal_plugin.video.frames import Frames

__all__ = [
    "COUNTERS",
    "SEARCH_PROMPTS",
    "VERIFY_PROMPTS",
    "Call",
    "Conversation",
    "FinalAnswer",
    "Limits",
    "Malformed",
    "ToolCall",
    "parse_turn",
    "verify_messages",
]

Message = dict[str, Any]

#: templates by task: of the search, and of the answer from the searched frames alone
SEARCH_PROMPTS = {"grounding": "search", "choice": "search_choice", "open": "search_text"}
VERIFY_PROMPTS = {"grounding": "frames", "choice": "frames_choice", "open": "frames_text"}

#: what `Conversation.counters` counts
COUNTERS = {
    "turns": "turns of the model",
    "searches": "calls whose frames the model was shown",
    "frames": "frames that it was shown, the preview not counted",
    "failed_calls": "calls with wrong arguments, or in which nothing could be found",
    "search_failures": "calls that failed for no fault of the model",
    "malformed": "turns that held neither a call nor an answer",
    "retries": "messages that asked for a malformed turn again",
    "forced_answer": "1 where it was told to answer at once",
    "dropped_results": "results that did not fit into the tokens left",
    "overflow": "1 where the tokens were used up before an answer",
    "answered": "1 where it answered",
}

_CALL_FORM = (
    '<tool_call>{"name": "seek_video_frames", "arguments": {"query": "what to look for", '
    '"start_time": 0, "end_time": 60, "num_frames": 8}}</tool_call>'
)
_RETRY = (
    "Your last turn could not be used: {reason}. Either call the tool once, as {call}, or end "
    "with your answer between <answer> and </answer>."
)
_ANSWER_NOW = (
    "You cannot search any more. Give your final answer now, between <answer> and </answer>, "
    "from what you have seen."
)
_NO_ROOM = "The frames that were found do not fit any more."


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
    frames_per_call: int = tool.MOST_FRAMES
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


class Conversation:
    """One search. Every step appends to `messages` what was said and what it is answered.

    Args:
        messages: the prompt.
        duration_seconds: of the video that the model sees.
        contract: of the answer, a key of `answers.CONTRACTS`; it decides whether turns think.
        limits: see `Limits`.

    Attributes:
        messages: the chat so far.
        over: nothing more is to be said.
        answer: the whole turn that answered, "" while there is none.
        shown: the content (times and images) of each result that the model was shown.
        counts: by the names of COUNTERS.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        duration_seconds: float,
        contract: str = "think_answer",
        limits: Limits | None = None,
    ) -> None:
        self.messages = list(messages)
        self.duration_seconds, self.limits = duration_seconds, limits or Limits()
        blocks = contract_named(contract).blocks
        self.thinks = bool(blocks) and blocks[0][0] == "think"
        self.over, self.answer = False, ""
        self.shown: list[list[dict[str, Any]]] = []
        self.counts = dict.fromkeys(COUNTERS, 0)
        self._well_formed, self._last_turn = True, False
        self._replied = 0  # messages in the last reply

    @property
    def well_formed(self) -> bool:
        """Every turn held its blocks and nothing else, and the last one answered."""
        return self._well_formed and bool(self.answer)

    def counters(self) -> dict[str, float]:
        """All counts, the same names in every conversation."""
        return {name: float(count) for name, count in self.counts.items()}

    def room(self, used_tokens: int) -> int:
        """New tokens that the next turn may have after `used_tokens` of the limit; 0 ends it."""
        return max(0, min(self.limits.tokens_per_turn, self.limits.tokens - used_tokens))

    def said(self, text: str, *, cut: bool = False) -> Call | list[Message] | None:
        """Takes the model's turn.

        Args:
            text: the turn, special tokens removed.
            cut: it was ended by its limit of tokens.

        Returns:
            A call to make, then to be told to `found` or `failed`; or the messages that were
            appended; or None: the conversation is over.
        """
        self.counts["turns"] += 1
        self.messages.append({"role": "assistant", "content": text})
        turn = parse_turn(text, thinks=self.thinks)
        if isinstance(turn, FinalAnswer):
            self._well_formed &= turn.well_formed
            self.answer, self.over = text, True
            self.counts["answered"] = 1
            return None
        if isinstance(turn, Malformed):
            return self._malformed(CUT if cut else turn.reason)
        self._well_formed &= turn.well_formed
        if self._last_turn:
            return self._end()
        if turn.name != tool.TOOL:
            known = f"there is no tool {tool.quoted(turn.name)}; the only tool is {tool.TOOL}."
            return self.failed(known)
        call = tool.check(turn.arguments, self.duration_seconds, self.limits.frames_per_call)
        return self.failed(call) if isinstance(call, str) else call

    def found(self, frames: Frames) -> list[Message]:
        """Takes the frames of a call; the messages that show them."""
        if not len(frames):
            return self.failed(tool.times_line(()))
        self.counts["searches"] += 1
        self.counts["frames"] += len(frames)
        content = tool.result_content(frames)
        self.shown.append(content[:-1])  # without the line that lists the times
        return self._tool(content)

    def failed(self, message: str, *, ours: bool = False) -> list[Message]:
        """Takes a call that brought nothing; the messages that say so.

        Args:
            message: what was wrong, in words for the model.
            ours: it was no fault of the model: a broken video, a search that was down.
        """
        self.counts["search_failures" if ours else "failed_calls"] += 1
        return self._tool([{"type": "text", "text": f"The call failed: {message}"}])

    def no_room(self) -> list[Message]:
        """Takes back the last reply, which does not fit into the tokens left; a short one instead.

        Frames in it count as not shown.
        """
        taken = self.messages[-self._replied :]
        del self.messages[-self._replied :]
        self.counts["dropped_results"] += 1
        if any(part["type"] == "image" for m in taken for part in m["content"]):
            self.counts["searches"] -= 1
            self.counts["frames"] -= len(self.shown.pop()) // 2
        if taken[0]["role"] != "tool":
            return self._reply([*self._answer_now()])
        return self._reply([_message("tool", _NO_ROOM), *self._answer_now()])

    def overflow(self) -> None:
        """Ends it: the tokens are used up. What was said before stands."""
        self.counts["overflow"] = 1
        self._end()

    def _malformed(self, reason: str) -> list[Message] | None:
        self.counts["malformed"] += 1
        self._well_formed = False
        if self._last_turn:
            return self._end()
        if self.counts["retries"] >= self.limits.retries:
            return self._reply([*self._answer_now()])
        self.counts["retries"] += 1
        text = _RETRY.format(reason=reason, call=_CALL_FORM)
        return self._reply([_message("user", text), *self._at_the_limit()])

    def _tool(self, content: list[dict[str, Any]]) -> list[Message]:
        return self._reply([{"role": "tool", "content": content}, *self._at_the_limit()])

    def _at_the_limit(self) -> list[Message]:
        return self._answer_now() if self.counts["turns"] + 1 >= self.limits.turns else []

    def _answer_now(self) -> list[Message]:
        """The next turn is the last one; told once."""
        self._last_turn = True
        self.counts["forced_answer"] = 1
        return [_message("user", _ANSWER_NOW)]

    def _reply(self, messages: list[Message]) -> list[Message]:
        self.messages += messages
        self._replied = len(messages)
        return messages

    def _end(self) -> None:
        self.over = True


def _message(role: str, text: str) -> Message:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def verify_messages(
    shown: Sequence[Sequence[dict[str, Any]]], prompt: prompts.Prompt, sample: prompts.Asked
) -> list[Message] | None:
    """The question again, to be answered from the searched frames alone.

    Args:
        shown: `Conversation.shown`: no frame of the preview is among them.
        prompt: a template whose video entry stands for the frames.
        sample: the question.

    Returns:
        The messages, or None where nothing was shown: such a search verifies nothing.
    """
    frames = [part for content in shown for part in content]
    if not frames:
        return None
    messages = prompt.messages(sample)
    for message in messages:
        if isinstance(message["content"], list):
            message["content"] = [
                part
                for entry in message["content"]
                for part in (frames if entry["type"] == "video" else [entry])
            ]
    return messages
