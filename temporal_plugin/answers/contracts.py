"""The output contracts: which blocks a response must consist of, and what they must hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from temporal_plugin.answers import model
from temporal_plugin.answers.model import Answer
from temporal_plugin.spans import Span

Form = Literal["range", "pair", "pairs", "list", "json", "choice", "text"]


@dataclass(frozen=True, slots=True)
class Contract:
    """A response is exactly these blocks, each once and in order, with only space between.

    Attributes:
        name: the key in `CONTRACTS`.
        blocks: (tag, form) pairs; the form None is free text. No blocks: any text will do.
        asks_choice, asks_spans, asks_text: what some block of it must hold.
        asks_list: it asks for a list of spans that may be empty.
    """

    name: str
    blocks: tuple[tuple[str, Form | None], ...] = ()
    asks_choice: bool = field(init=False)
    asks_spans: bool = field(init=False)
    asks_text: bool = field(init=False)
    asks_list: bool = field(init=False)

    def __post_init__(self) -> None:
        forms = {form for _, form in self.blocks if form}
        object.__setattr__(self, "asks_choice", "choice" in forms)
        object.__setattr__(self, "asks_spans", bool(forms - {"choice", "text"}))
        object.__setattr__(self, "asks_text", "text" in forms)
        object.__setattr__(self, "asks_list", "list" in forms)


_THINK = ("think", None)
CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        Contract("free"),
        Contract("answer", (("answer", "range"),)),
        Contract("answer_choice", (("answer", "choice"),)),
        Contract("answer_text", (("answer", "text"),)),
        Contract("answer_glue", (("answer", "choice"), ("glue", "pairs"))),
        Contract("answer_list", (("answer", "list"),)),
        Contract("think_answer", (_THINK, ("answer", "range"))),
        Contract("think_answer_json", (_THINK, ("answer", "json"))),
        Contract("think_answer_choice", (_THINK, ("answer", "choice"))),
        Contract("think_answer_text", (_THINK, ("answer", "text"))),
        Contract("think_answer_list", (_THINK, ("answer", "list"))),
        Contract("think_answer_glue", (_THINK, ("answer", "choice"), ("glue", "pairs"))),
        Contract("think_time", (_THINK, ("time", "pair"))),
    )
}


def contract_named(name: str) -> Contract:
    """The contract of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        return CONTRACTS[name]
    except KeyError:
        allowed = ", ".join(CONTRACTS)
        raise ValueError(f"contract {name!r} is unknown; use one of: {allowed}.") from None


def follows(contract: Contract, text: str, answer: Answer) -> bool:
    """Whether `text`, which was parsed to `answer`, keeps the contract.

    A refusal keeps it: it is the right answer to a question about nothing.
    """
    refused = answer.problem == model.REFUSAL
    if answer.problem is not None and not refused:
        return False
    if not contract.blocks:
        return True
    contents = _exact_blocks(contract, text)
    if contents is None:
        return False
    for (_, form), content in zip(contract.blocks, contents, strict=True):
        if form == "list" and not _is_list_of_pairs(content):  # of no pairs for a refusal
            return False
    if refused:
        return True
    if contract.asks_choice and answer.choice is None:
        return False
    if contract.asks_spans and not answer.spans:
        return False
    for (_, form), content in zip(contract.blocks, contents, strict=True):
        if form == "json" and not _is_start_end_object(content):
            return False
    return True


def _exact_blocks(contract: Contract, text: str) -> list[str] | None:
    """The contents of the blocks, or None when something is missing, doubled or between."""
    text = text.strip()
    position, contents = 0, []
    for tag, _ in contract.blocks:
        opening, closing = f"<{tag}>", f"</{tag}>"
        if text.count(opening) != 1 or text.count(closing) != 1:
            return None
        opened, closed = text.find(opening), text.find(closing)
        if closed < opened or text[position:opened].strip():
            return None
        contents.append(text[opened + len(opening) : closed])
        position = closed + len(closing)
    return contents if position == len(text) else None


def _is_start_end_object(content: str) -> bool:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() >= {"start_time", "end_time"}


def _is_list_of_pairs(content: str) -> bool:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(time, (int, float)) and not isinstance(time, bool) for time in pair)
        for pair in value
    )


def render(
    contract: str,
    *,
    spans: Sequence[Span] = (),
    choice: str | None = None,
    text: str | None = None,
    reasoning: str = "",
) -> str:
    """The response that keeps `contract` and says exactly this: what SFT teaches.

    Times get two decimals, and more only where two would change them. No spans where the
    contract asks for some renders a refusal.

    Raises:
        ValueError: `contract` is unknown, a choice or a text is asked for and not given, or
            several spans are given to a form that holds one.
    """
    shape = contract_named(contract)
    if not shape.blocks:
        return _content("choice" if choice else "range", spans, choice, text)
    parts = []
    for tag, form in shape.blocks:
        content = reasoning if form is None else _content(form, spans, choice, text)
        parts.append(f"<{tag}>{content}</{tag}>")
    return "\n".join(parts)


def _content(form: Form, spans: Sequence[Span], choice: str | None, text: str | None) -> str:
    if form == "text":
        if text is None or not text.strip():
            raise ValueError("render: this contract asks for an open answer; give text='...'.")
        return text
    if form == "choice":
        if choice is None:
            raise ValueError("render: this contract asks for a choice; give choice='A' or so.")
        return choice
    if not spans and form == "list":
        return "[]"
    if not spans:
        return "The event does not occur in the video."
    if form in ("json", "pair") and len(spans) > 1:
        raise ValueError(f"render: the form {form!r} holds one span, {len(spans)} were given.")
    pairs = [(_seconds(s.start_seconds), _seconds(s.end_seconds)) for s in spans]
    if form == "json":
        return json.dumps(dict(zip(("start_time", "end_time"), pairs[0], strict=True)))
    if form == "range":
        return " and ".join(f"{start} to {end}" for start, end in pairs)
    if form == "pair":
        return f"[{pairs[0][0]}, {pairs[0][1]}]"
    opened, closed = "[]" if form == "list" else "()"
    return "[" + ", ".join(f"{opened}{start}, {end}{closed}" for start, end in pairs) + "]"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if round(value, 2) == value else repr(value)
