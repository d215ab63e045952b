"""Gold round trip: a sample's own truth, rendered, parsed and scored, must give 1.0."""

from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.answers import parse
from temporal_plugin.rewards import score_answer

SINGLE = ("think_answer_json", "think_time")  # contracts whose form holds one span
OF_TASK = {
    "grounding": ("answer", "think_answer", *SINGLE),
    "choice": ("answer_choice", "think_answer_choice"),
    "grounded_choice": ("think_answer_glue",),
    "open": ("answer_text", "think_answer_text"),
}
WEIGHTS = {"iou": 0.5, "format": 0.5}


def contracts_of(sample):
    """The contracts in which the sample's truth can be said."""
    if sample.task == "open" and sample.answer is None:
        return []
    return [name for name in OF_TASK[sample.task] if name not in SINGLE or len(sample.spans) == 1]


def gold_faults(samples):
    """(sample id, contract, what went wrong) of each truth that does not score 1.0."""
    faults = []
    for sample in samples:
        for contract in contracts_of(sample):
            fault = _fault(sample, contract)
            if fault:
                faults.append((sample.id, contract, fault))
    return faults


def _fault(sample, contract):
    text = gold_answer(sample, contract)
    answer = parse(
        text,
        options=sample.options or None,
        duration_seconds=sample.duration,
        contract=contract,
        question=sample.query,
    )
    if not answer.well_formed:
        return f"{text!r} is not well formed ({answer.problem})"
    if sample.options and answer.choice != sample.answer:
        return f"chose {answer.choice}, not {sample.answer}"
    if sample.task == "open" and answer.text != sample.answer:
        return f"said {answer.text!r}, not {sample.answer!r}"
    if sample.spans and score_answer(answer, sample, WEIGHTS)["score"] != 1.0:
        return f"{text!r} scored {score_answer(answer, sample, WEIGHTS)}"
    return None
