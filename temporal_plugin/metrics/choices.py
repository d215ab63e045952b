"""Multiple choice, alone and with the moment that shows the answer (NExT-GQA, ReXTime)."""

from __future__ import annotations

from collections.abc import Sequence

from temporal_plugin import spans
from temporal_plugin.answers import Answer
from temporal_plugin.metrics.grounding import FAILURES, check_truth, failures
from temporal_plugin.spans import Span

CHOICE_KEYS = ("accuracy", *FAILURES)
GROUNDED_CHOICE_KEYS = (
    "accuracy",
    *("miou", "r1@0.3", "r1@0.5"),
    *("miop", "iop@0.3", "iop@0.5"),
    *("acc@gqa", "acc@iou0.5"),
    *FAILURES,
)


def choice_item(answer: Answer, letter: str) -> dict[str, float]:
    """Whether the chosen option is `letter`; no choice is wrong and stays in the mean.

    There is no random guess for an answer without a choice: it is a `parse_failure`, or a
    `refusal` where the answer says that there is nothing to choose.

    Args:
        answer: of `answers.parse` with the question's options.
        letter: the right option, one capital letter from "A".

    Raises:
        ValueError: `letter` is not one capital letter.
    """
    _check_letter("choice_item", letter)
    return {
        "accuracy": float(answer.choice == letter),
        **failures(answer, answered=answer.choice is not None),
    }


def grounded_choice_item(answer: Answer, truth: Sequence[Span], letter: str) -> dict[str, float]:
    """The scores of a choice and of the span that is given as its evidence.

    Both benchmarks take one span per question and compare it with its best true span. So the
    first span of an answer counts (as ReXTime does it), against the true span that gives the
    greatest IoU, and the one that gives the greatest IoP (NExT-GQA, Xiao et al., arXiv
    2309.01327; the two may differ). As there, a span without length has IoP 1 inside a true span.

    `acc@gqa`: right and IoP >= 0.5 (NExT-GQA). `acc@iou0.5`: right and IoU >= 0.5 (ReXTime, Chen
    et al., arXiv 2406.19392). An answer that lacks its choice or its span is a `parse_failure`,
    or a `refusal`; the half that is there is scored. NExT-GQA's own script leaves questions
    without a prediction out of its means; here they count as zero.

    Raises:
        ValueError: `truth` is empty, or `letter` is not one capital letter.
    """
    check_truth("grounded_choice_item", truth)
    _check_letter("grounded_choice_item", letter)
    right = float(answer.choice == letter)
    first = answer.spans[0] if answer.spans else None
    iou = max(spans.iou(first, true) for true in truth) if first else 0.0
    iop = max(_iop(first, true) for true in truth) if first else 0.0
    return {
        "accuracy": right,
        "miou": iou,
        "r1@0.3": float(iou >= 0.3),
        "r1@0.5": float(iou >= 0.5),
        "miop": iop,
        "iop@0.3": float(iop >= 0.3),
        "iop@0.5": float(iop >= 0.5),
        "acc@gqa": right * (iop >= 0.5),
        "acc@iou0.5": right * (iou >= 0.5),
        **failures(answer, answered=answer.choice is not None and first is not None),
    }


def _iop(span: Span, true: Span) -> float:
    if span.length_seconds > 0.0:
        return spans.iop(span, true)
    return float(true.start_seconds <= span.start_seconds <= true.end_seconds)


def _check_letter(name: str, letter: str) -> None:
    if not (isinstance(letter, str) and len(letter) == 1 and "A" <= letter <= "Z"):
        raise ValueError(
            f"{name}: the right option is {letter!r}; give one capital letter from 'A'."
        )
