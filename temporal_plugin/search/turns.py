"""What a model says in one turn of a search: a tool call, an answer, or neither.

One format for Qwen2.5-VL and Qwen3-VL, whose chat templates both know it:
`<think>...</think><tool_call>{"name": ..., "arguments": {...}}</tool_call>` or
`<think>...</think><answer>...</answer>`; templates that ask for no thinking leave the first block
out. Plain string searches: the cost is linear in the length of the text, and nothing raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from temporal_plugin.answers.contracts import exact_blocks
from temporal_plugin.search.tool import load_json

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
ANSWER = "<answer>"

# The reasons of a malformed turn, in words for the model.
EMPTY = "it was empty"
NEITHER = "it held neither a tool call nor an answer"
BOTH = "it held a tool call and an answer, and only one of them is allowed in a turn"
SEVERAL = "it held several tool calls, and only one is allowed in a turn"
BAD_JSON = "the tool call was no valid JSON"
NO_NAME = 'the tool call was no JSON object with "name" and "arguments"'
CUT = "it was longer than a turn may be and was cut off"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call by name; `arguments` are as the model gave them, of any type.

    `well_formed`: the turn held its blocks and nothing else.
    """

    name: str
    arguments: object
    well_formed: bool


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """A turn that answers; `text` is all of it, for `answers.parse`."""

    text: str
    well_formed: bool


@dataclass(frozen=True, slots=True)
class Malformed:
    """A turn that does neither; `reason` ends the sentence "it could not be used: "."""

    reason: str


def parse_turn(text: str, *, thinks: bool = True) -> ToolCall | FinalAnswer | Malformed:
    """Reads one turn. Whatever stands in the reasoning is neither a call nor an answer.

    Args:
        text: the turn, special tokens removed.
        thinks: whether a well-formed turn begins with a think block, or has none.
    """
    if not isinstance(text, str) or not text.strip():
        return Malformed(EMPTY)
    said = text[text.rfind(THINK_END) + len(THINK_END) :] if THINK_END in text else text
    calls, answers = said.count(CALL), said.count(ANSWER)
    if calls and answers:
        return Malformed(BOTH)
    if calls > 1:
        return Malformed(SEVERAL)
    if calls:
        return _call(said, _is_exact(text, "tool_call", thinks))
    if answers:
        return FinalAnswer(text, _is_exact(text, "answer", thinks))
    return Malformed(NEITHER)


def _is_exact(text: str, tag: str, thinks: bool) -> bool:
    return exact_blocks(("think", tag) if thinks else (tag,), text) is not None


def _call(said: str, well_formed: bool) -> ToolCall | Malformed:
    """The call in a turn that holds one; its closing tag may be missing."""
    begin = said.find(CALL) + len(CALL)
    end = said.find(CALL_END, begin)
    value = load_json(said[begin : end if end >= 0 else len(said)])
    if isinstance(value, str):  # the object written as a string
        value = load_json(value)
    if value is None:
        return Malformed(BAD_JSON)
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return Malformed(NO_NAME)
    return ToolCall(value["name"], value.get("arguments"), well_formed)
