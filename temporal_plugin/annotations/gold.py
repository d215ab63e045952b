"""The answer that a model should have given to a sample: what SFT teaches."""

from __future__ import annotations

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import contract_named, render
from temporal_plugin.answers.choices import read_choice

REASONING_KEY = "reasoning"
"""Key of `Sample.extra` with the words to put into a contract's reasoning block."""


def gold_answer(sample: Sample, contract: str) -> str:
    """The true answer in the form of `contract`, with the reasoning that the sample carries.

    Without reasoning the block for it stays empty, so that a model is not taught invented words.

    Raises:
        ValueError: the contract asks for what the sample lacks, or cannot hold it (several spans
            where there is room for one). The message says which.
    """
    shape = contract_named(contract)
    choice = text = None
    if shape.asks_choice:
        choice = read_choice(sample.answer or "", sample.options, explicit=True)
        if choice is None:
            raise ValueError(
                f"contract {contract!r} asks for a choice, and the answer is no option"
            )
    if shape.asks_text:
        text = sample.answer
    if shape.asks_spans and not sample.spans:
        raise ValueError(f"contract {contract!r} asks for spans, and there are none")
    reasoning = sample.extra.get(REASONING_KEY, "")
    if not isinstance(reasoning, str):
        raise ValueError(f"extra[{REASONING_KEY!r}] is no text")
    return render(contract, spans=sample.spans, choice=choice, text=text, reasoning=reasoning)
