"""The kinds of task: what a question of each needs, and how one answer to it is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporal_plugin import metrics
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import Answer, contract_named
from temporal_plugin.answers.choices import read_choice
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_keyframes as keyframes
from temporal_plugin.integrations.lmms_eval_failures import RequestFailed
from temporal_plugin.integrations.lmms_eval_search_record import Searched
from temporal_plugin.prompts import Prompt


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    Attributes:
        name: the defaults of its tasks are in `lmms_tasks/_<name>.yaml.inc`.
        keys: the metrics of every question, besides `request_failure`.
        score: (answer, sample) -> the metrics in [0, 1], always these keys; the kinds of the search
            loop take a `Searched`.
        details: the metric whose item in a sample log describes the question and the answer.
        asks_choice: a question has options and the letter of the true one.
        asks_spans: a question has true spans.
        joint: further metrics of a whole task, each the F1 of two means: name -> (precision,
            recall).
    """

    name: str
    keys: tuple[str, ...]
    score: Callable[[Any, Sample], dict[str, float]]
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
        if self.name in ("search", "search_loop") and not keyframes.are_known(sample):
            return f"neither extra.{keyframes.SECONDS} nor extra.{keyframes.NUMBERS}"
        if self.name == "caption" and not sample.answer:
            return "no true answer"
        return _lacks_truth(sample) if self.name == "search_any" else None

    def needs_judge(self, samples: Iterable[Sample]) -> bool:
        """Whether answers to these samples have to be judged by a language model."""
        if self.name == "search_any":
            return any(sample.task == "open" for sample in samples)
        return self.name == "caption"

    def misfit(self, prompt: Prompt) -> str | None:
        """Why a prompt cannot ask a question of this kind, or None."""
        shows_options = "{options}" in prompt.user + (prompt.system or "")
        if self.asks_choice and not shows_options:
            return "it does not show the {options}"
        if shows_options and not self.asks_choice:
            return "it shows {options}, and there are none"
        if self.name == "caption" and not contract_named(prompt.contract).asks_text:
            return f"its contract {prompt.contract!r} asks for no words"
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


def _search(answer: Answer, sample: Sample) -> dict[str, float]:
    return {**_choice(answer, sample), **_frames(keyframes.predicted(answer), sample)}


def _frames(found: Sequence[float], sample: Sample) -> dict[str, float]:
    """How well the frames at these seconds are the true ones."""
    try:
        truth = keyframes.true_seconds(sample)
        seen = keyframes.pictures(sample.video, found), keyframes.pictures(sample.video, truth)
    except ValueError as error:  # a VideoError: it could be read when the model was asked
        raise RequestFailed(f"its frames cannot be compared: {error}") from error
    return {**metrics.temporal_search_item(found, truth), **metrics.visual_search_item(*seen)}


def _search_loop(found: Searched, sample: Sample) -> dict[str, float]:
    return {**_search_choice(found, sample), **_frames(found.record.seconds, sample)}


def _search_choice(found: Searched, sample: Sample) -> dict[str, float]:
    return {**_choice(found.answer, sample), "searched": float(found.record.searched)}


def _search_any(found: Searched, sample: Sample) -> dict[str, float]:
    return {**by_task(found.answer, sample), "searched": float(found.record.searched)}


def by_task(answer: Answer, sample: Sample) -> dict[str, float]:
    """The keys of `metrics.choice_item` for any task that can be searched for.

    `accuracy` is 1 for the right option, what the judge says of an open answer, and the IoU of a
    grounded event.
    """
    if sample.options:
        return _choice(answer, sample)
    if sample.task == "open":
        return captions.score(answer, sample)
    found = _grounding(answer, sample)
    return {"accuracy": found["miou"], **{key: found[key] for key in metrics.CHOICE_KEYS[1:]}}


def _lacks_truth(sample: Sample) -> str | None:
    if sample.options:
        return None if letter_of(sample) else "no answer among its options"
    if sample.task == "open":
        return None if sample.answer else "no true answer"
    return None if sample.spans else "no true span"


SEARCH_CHOICE_KEYS = (*metrics.CHOICE_KEYS, "searched")
SEARCH_KEYS = (
    "accuracy",
    *metrics.SEARCH_KEYS,
    *metrics.VISUAL_SEARCH_KEYS,
    *(key for key in metrics.CHOICE_KEYS if key != "accuracy"),
)
VISUAL_F1 = {"visual_f1": ("visual_precision", "visual_recall")}

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
            joint=VISUAL_F1,
        ),
        Kind(
            "search_loop",
            (*SEARCH_KEYS, "searched"),
            _search_loop,
            "accuracy",
            asks_choice=True,
            joint=VISUAL_F1,
        ),
        Kind("search_choice", SEARCH_CHOICE_KEYS, _search_choice, "accuracy", asks_choice=True),
        Kind("search_any", SEARCH_CHOICE_KEYS, _search_any, "accuracy"),
        Kind("caption", metrics.CHOICE_KEYS, captions.score, "accuracy"),
    )
}
