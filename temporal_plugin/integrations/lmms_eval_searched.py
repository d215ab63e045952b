"""What our search tasks make of the records that `temporal_search` answers with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from temporal_plugin import answers, prompts
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations.lmms_eval_config import model_arguments
from temporal_plugin.integrations.lmms_eval_failures import RequestFailed
from temporal_plugin.integrations.lmms_eval_kinds import KINDS, by_task
from temporal_plugin.integrations.lmms_eval_search_record import Record, Searched
from temporal_plugin.search.conversation import SEARCH_PROMPTS, VERIFY_PROMPTS

BRIEF_PROMPTS = {
    "grounding": "search_brief",
    "choice": "search_brief_choice",
    "open": "search_brief_text",
}
"""Templates that ask for no thinking, by task."""

COMPLETENESS, CONSISTENCY = "completeness", "consistency"
CONSISTENCY_SETTING = "TEMPORAL_PLUGIN_SEARCH_CONSISTENCY"
"""Environment variable; "1" adds the metric `consistency` to the search tasks of the run."""


SEARCH_MODEL = "temporal_search"
"""The model class whose answers are records of searches."""


def optional_metrics(args: Any, task: str) -> list[str]:
    """The metrics that a command asks for beside those of a search task's kind.

    Args:
        args: the command as lmms-eval parsed it; None where it is called from Python.

    Raises:
        ValueError: the model class is not `temporal_search`, or a judge is needed and missing.
    """
    if args is not None and getattr(args, "model", SEARCH_MODEL) != SEARCH_MODEL:
        raise ValueError(
            f"{task} scores searches, and --model {args.model} does not search; use --model "
            f"{SEARCH_MODEL}, or the tasks without a search loop (docs/tasks.md)"
        )
    found = []
    if str(model_arguments(args).get(COMPLETENESS, "")).lower() in ("true", "1"):
        found.append(COMPLETENESS)
    if os.environ.get(CONSISTENCY_SETTING) == "1":
        captions.require_judge(f"{task} with {CONSISTENCY_SETTING}=1")
        found.append(CONSISTENCY)
    return found


def process_results(doc: Mapping[str, str], results: Sequence[Any]) -> dict[str, dict]:
    """Score a document as `lmms_eval_docs.process_results` does, from records of searches.

    A search without an answer, or one that never looked, stays in every mean with what it is
    worth. The details hold the seconds found and, as `tries`, every conversation.

    Raises:
        ValueError: a response is no record: the model class is not `temporal_search`.
    """
    sample, kind = docs.measured(docs.to_sample(doc)), KINDS[doc["kind"]]
    texts = docs.responses_of(results)
    failed = docs.failure_of(doc, sample, results)
    records = [Record.from_text(text if failed is None else "") for text in texts]
    found = [Searched(docs.answer_of(doc, sample, each.answer), each) for each in records]
    scores, failed = docs.scores_of(kind, sample, found, failed)
    items = docs.items_of(doc, kind, scores)
    said = [each.answer for each in records]
    details = docs.details_of(doc, sample, said, [each.answer for each in found], failed)
    details["predicted_seconds"] = list(records[0].seconds)
    details["counters"] = records[0].counters
    details["tries"] = [] if failed is not None else [_try(each, sample) for each in found]
    items[kind.details] |= details
    return items


def _try(found: Searched, sample: Sample) -> dict[str, Any]:
    """What a sample log says of one search: its worth, and the whole conversation."""
    record = found.record
    return {
        "score": by_task(found.answer, sample)["accuracy"],
        "frames": record.frames,
        "seconds": list(record.seconds),
        "turns": list(record.turns),
        "counters": record.counters,
        "verified": record.verified,
    }


def extra_items(
    doc: Mapping[str, str], results: Sequence[Any], names: Sequence[str], failed: bool
) -> dict[str, dict]:
    """The items of the optional metrics that this run measures; a failed question scores 0.

    Args:
        names: among COMPLETENESS and CONSISTENCY.
        failed: the question's request failed.
    """
    sample = docs.measured(docs.to_sample(doc))
    records = [Record.from_text(text) for text in docs.responses_of(results)] if not failed else []
    score = {COMPLETENESS: _complete, CONSISTENCY: _consistent}
    return {
        name: {
            "score": fmean(score[name](each, doc, sample) for each in records) if records else 0.0,
            "video": doc["video"],
        }
        for name in names
    }


def _complete(record: Record, doc: Mapping[str, str], sample: Sample) -> float:
    """Whether the searched frames alone gave the right answer (TimeSearch-R's completeness)."""
    if not record.verified:
        return 0.0
    prompt = docs.load_prompt(VERIFY_PROMPTS[_task(sample)])
    answer = answers.parse(
        record.verified,
        options=sample.options or None,
        duration_seconds=sample.duration,
        contract=prompt.contract,
    )
    try:
        return by_task(answer, sample)["accuracy"]
    except RequestFailed:  # no judge: counted by it, and not as right
        return 0.0


def _consistent(record: Record, doc: Mapping[str, str], sample: Sample) -> float:
    """Whether the judge finds that the answer follows from the reasoning before it."""
    answer = docs.answer_of(doc, sample, record.answer)
    said = answer.text or answer.choice or ""
    if answer.spans and not said:
        said = ", ".join(f"{s.start_seconds:g} to {s.end_seconds:g} seconds" for s in answer.spans)
    if not (answer.reasoning.strip() and said):
        return 0.0
    question = "\n".join([sample.query, *prompts.option_lines(sample.options).splitlines()])
    return float(captions.reviewer().verdict(question, answer.reasoning, said) is True)


def prompt_for(name: str, sample: Sample) -> str:
    """The prompt of a sample's task, where `name` is that of open questions of this package."""
    if name not in (SEARCH_PROMPTS["open"], BRIEF_PROMPTS["open"]):
        return name
    by_name = SEARCH_PROMPTS if name == SEARCH_PROMPTS["open"] else BRIEF_PROMPTS
    return by_name[_task(sample)]


def _task(sample: Sample) -> str:
    return "choice" if sample.options else sample.task
