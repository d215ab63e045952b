"""One parser for every response: rewards, curation, filters and evaluation all call `parse`."""

from __future__ import annotations

from collections.abc import Sequence

from temporal_plugin.answers import model
from temporal_plugin.answers.blocks import Located, locate, without_echo, without_questions
from temporal_plugin.answers.choices import read_choice
from temporal_plugin.answers.contracts import Contract, contract_named, follows
from temporal_plugin.answers.final import read_spans
from temporal_plugin.answers.model import Answer
from temporal_plugin.answers.plain import read_plain


def parse(
    text: str,
    *,
    options: Sequence[str] | None = None,
    duration_seconds: float | None = None,
    contract: str = "free",
    question: str | None = None,
) -> Answer:
    """Reads the final answer out of a model's response, in time linear in its length.

    Times in the reasoning, in the question when it is repeated, and after the marked answer do
    not count. Spans are neither swapped nor clipped. The text itself never raises: whatever is
    wrong with it, also if it is no string, stands in `Answer.problem`.

    Args:
        text: the whole response, special tokens removed.
        options: the choices that were offered; then an answer without a choice is a problem.
        duration_seconds: of what the model saw; an answer wholly past it is a problem.
        contract: a key of `CONTRACTS`, decides `Answer.well_formed`.
        question: the question asked; its repetition in the response is skipped.

    Raises:
        ValueError: `contract` is unknown.
    """
    shape = contract_named(contract)
    if not isinstance(text, str):
        return Answer(problem=model.NOT_TEXT)
    answer = None
    if shape.asks_text:
        answer = _open(text)
    elif not options and not shape.asks_choice:
        answer = read_plain(text, duration_seconds, question)
    if answer is None:
        answer = _full(text, options, duration_seconds, shape, question)
    if follows(shape, text, answer):
        return _well_formed(answer)
    return answer


def _well_formed(answer: Answer) -> Answer:
    return Answer(answer.spans, answer.choice, answer.reasoning, answer.problem, True, answer.text)


def _open(text: str) -> Answer:
    """The words of an open answer: those of the marked block, else all after the reasoning."""
    if not text.strip():
        return Answer(problem=model.EMPTY)
    parts = locate(text)
    marked = parts.boxed if parts.answer is None else parts.answer
    if marked is None and not parts.finished:
        return Answer(reasoning=parts.reasoning, problem=model.UNFINISHED)
    words = (parts.rest if marked is None else marked).strip()
    if not words:
        return Answer(reasoning=parts.reasoning, problem=model.EMPTY)
    return Answer(reasoning=parts.reasoning, text=words)


def _full(
    text: str,
    options: Sequence[str] | None,
    duration_seconds: float | None,
    shape: Contract,
    question: str | None,
) -> Answer:
    if not text.strip():
        return Answer(problem=model.EMPTY)
    parts = locate(text)
    blocks = (parts.glue, parts.time, parts.answer, parts.boxed)
    marked = next((block for block in blocks if block is not None), None)
    if marked is None and not parts.finished:
        return Answer(reasoning=parts.reasoning, problem=model.UNFINISHED)
    if not (parts.rest if marked is None else marked).strip():
        return Answer(reasoning=parts.reasoning, problem=model.EMPTY)
    if marked is None:
        prose = without_questions(without_echo(parts.rest, question))
        spans, problem = read_spans(prose, explicit=False, duration_seconds=duration_seconds)
    else:
        told = without_echo(marked, question)
        spans, problem = read_spans(told, explicit=True, duration_seconds=duration_seconds)
    if not (options or shape.asks_choice):
        sure = spans or problem == model.REFUSAL
        choice = None if sure else _choice(parts, options, question)
        return Answer(spans, choice, parts.reasoning, None if choice else problem)
    choice = _choice(parts, options, question)
    if choice is None:
        problem = problem if problem == model.REFUSAL else model.NO_CHOICE
    elif parts.glue is None and parts.time is None:
        problem = None  # only a block for times can say something wrong about time
    return Answer(spans, choice, parts.reasoning, problem)


def _choice(parts: Located, options: Sequence[str] | None, question: str | None) -> str | None:
    """The choice from the marked answer or the box, else from what is neither time nor glue."""
    if parts.answer is not None or parts.boxed is not None:
        for block in (parts.answer, parts.boxed):
            choice = read_choice(block, options, explicit=True) if block is not None else None
            if choice:
                return choice
        return None
    prose = parts.rest
    for block, tag in ((parts.glue, "glue"), (parts.time, "time")):
        if block is not None:
            prose = prose.replace(f"<{tag}>{block}", " ")
    prose = without_questions(without_echo(prose, question))
    return read_choice(prose, options, explicit=False)
