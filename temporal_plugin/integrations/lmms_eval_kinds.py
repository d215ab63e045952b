"""The kinds of task: what a question of each needs, and how one answer to it is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from temporal_plugin import metrics
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import REFUSAL, Answer, contract_named
from temporal_plugin.answers.choices import read_choice
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_keyframes as keyframes
from temporal_plugin.integrations.lmms_eval_failures import RequestFailed
from temporal_plugin.prompts import Prompt

NOT_ASKED = "nothing_outside"
"""Metric of reflection: the annotation leaves nothing of the video to ask about."""


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    Attributes:
        name: the defaults of its tasks are in `lmms_tasks/_<name>.yaml.inc`.
        keys: the metrics of every question, besides `request_failure`.
        score: (answer, sample) -> the metrics in [0, 1], always these keys.
        details: the metric whose item in a sample log describes the question and the answer.
        asks_choice: a question has options and the letter of the true one.
        asks_spans: a question has true spans.
        joint: further metrics of a whole task, each the F1 of two means: name -> (precision,
            recall).
    """

    name: str
    keys: tuple[str, ...]
    score: Callable[[Answer, Sample], dict[str, float]]
    details: str
    asks_choice: bool = False
    asks_spans: bool = False
    joint: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def merits(self) -> tuple[str, ...]:
        """The metrics of which more is better."""
        return tuple(key for key in self.keys if key not in metrics.LOWER_IS_BETTER)

    def lacks(self, sample: Sample) -> str | None:
        """What a sample lacks for this kind, or None."""
        if self.asks_choice and letter_of(sample) is None:
            return f"no answer ({sample.answer!r}) among its {len(sample.options)} options"
        if self.asks_spans and not sample.spans:
            return "no true span"
        if self.name == "reflection" and sample.task != "grounding":
            return f"its task is {sample.task}, needed: grounding"
        if self.name == "search" and not keyframes.are_known(sample):
            return f"neither extra.{keyframes.SECONDS} nor extra.{keyframes.NUMBERS}"
        if self.name == "caption" and not sample.answer:
            return "no true answer"
        return None

    def misfit(self, prompt: Prompt) -> str | None:
        """Why a prompt cannot ask a question of this kind, or None."""
        shows_options = "{options}" in prompt.user + (prompt.system or "")
        if self.asks_choice and not shows_options:
            return "it does not show the {options}"
        if shows_options and not self.asks_choice:
            return "it shows {options}, and there are none"
        if self.name == "caption" and not contract_named(prompt.contract).asks_text:
            return f"its contract {prompt.contract!r} asks for no words"
        if self.name == "reflection" and not contract_named(prompt.contract).asks_list:
            return f"its contract {prompt.contract!r} asks for no list, which may be empty"
        return None


def letter_of(sample: Sample) -> str | None:
    """The letter of the true option, None where the answer names none of them."""
    if not sample.options or not sample.answer:
        return None
    return read_choice(sample.answer, sample.options, explicit=True)


def _grounding(answer: Answer, sample: Sample) -> dict[str, float]:
    return metrics.grounding_item(answer, sample.spans)


def _moment(answer: Answer, sample: Sample) -> dict[str, float]:
    return metrics.moment_item(answer, sample.spans, sample.duration)


def _choice(answer: Answer, sample: Sample) -> dict[str, float]:
    return metrics.choice_item(answer, letter_of(sample))


def _grounded_choice(answer: Answer, sample: Sample) -> dict[str, float]:
    return metrics.grounded_choice_item(answer, sample.spans, letter_of(sample))


def _reflection(answer: Answer, sample: Sample) -> dict[str, float]:
    none = answer.problem == REFUSAL
    return {
        "named": float(bool(answer.spans)),
        "refusal": float(none),
        "parse_failure": float(not answer.spans and not none),
        NOT_ASKED: 0.0,
    }


def _search(answer: Answer, sample: Sample) -> dict[str, float]:
    found = keyframes.predicted(answer)
    try:
        truth = keyframes.true_seconds(sample)
        seen = keyframes.pictures(sample.video, found), keyframes.pictures(sample.video, truth)
    except ValueError as error:  # a VideoError: it could be read when the model was asked
        raise RequestFailed(f"its frames cannot be compared: {error}") from error
    return {
        **_choice(answer, sample),
        **metrics.temporal_search_item(found, truth),
        **metrics.visual_search_item(*seen),
    }


SEARCH_KEYS = (
    "accuracy",
    *metrics.SEARCH_KEYS,
    *metrics.VISUAL_SEARCH_KEYS,
    *(key for key in metrics.CHOICE_KEYS if key != "accuracy"),
)

KINDS = {
    kind.name: kind
    for kind in (
        Kind("grounding", metrics.GROUNDING_KEYS, _grounding, "miou", asks_spans=True),
        Kind("moment", metrics.MOMENT_KEYS, _moment, "miou", asks_spans=True),
        Kind("choice", metrics.CHOICE_KEYS, _choice, "accuracy", asks_choice=True),
        Kind(
            "grounded_choice",
            metrics.GROUNDED_CHOICE_KEYS,
            _grounded_choice,
            "accuracy",
            asks_choice=True,
            asks_spans=True,
        ),
        Kind(
            "search",
            SEARCH_KEYS,
            _search,
            "accuracy",
            asks_choice=True,
            joint={"visual_f1": ("visual_precision", "visual_recall")},
        ),
        Kind(
            "reflection",
            ("named", "refusal", "parse_failure", NOT_ASKED),
            _reflection,
            "named",
            asks_spans=True,
        ),
        Kind("caption", metrics.CHOICE_KEYS, captions.score, "accuracy"),
    )
}
