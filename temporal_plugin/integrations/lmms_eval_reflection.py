"""The task `curate_boundaries`: the event is looked for where the annotation has none.

Its chats are those of the other tasks with a `mask` at the video, which hides the annotated spans;
our model classes apply it. lmms-eval's own classes would show the whole video: they are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.curation.boundary_log import NOTHING_OUTSIDE
from temporal_plugin.curation.boundary_reflection import ReflectionSettings
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_kinds import NOT_ASKED

SETTINGS = "reflection"
"""Key of a document, and of a task's `metadata`, that holds `ReflectionSettings`."""


def add_settings(rows: Sequence[Mapping[str, Any]], values: Any) -> list[dict[str, Any]]:
    """The documents with the settings that decide which of them are worth asking.

    Raises:
        ValueError: as `ReflectionSettings.from_mapping`.
    """
    text = json.dumps(asdict(ReflectionSettings.from_mapping(values)))
    return [{**row, SETTINGS: text} for row in rows]


def doc_to_messages(doc: Mapping[str, str], lmms_eval_specific_kwargs: Any = None) -> list[dict]:
    """As `lmms_eval_docs.doc_to_messages`, and the video entry has a `mask` (`video.masking`).

    A question that no answer could make partial is recorded as not asked and is its bare text.
    """
    sample = docs.measured(docs.to_sample(doc))
    if _unasked(doc, sample) is not None:
        return [{"role": "user", "content": [{"type": "text", "text": sample.query}]}]
    pairs = [[span.start_seconds, span.end_seconds] for span in sample.spans]
    messages = docs.doc_to_messages(doc)
    for message in messages:
        for part in message["content"]:
            if part["type"] == "video":
                part["mask"] = {"spans": pairs, "show": "outside"}
    return messages


def process_results(doc: Mapping[str, str], results: Sequence[Any]) -> dict[str, dict]:
    """As `lmms_eval_docs.process_results`; what was not asked counts in `nothing_outside` only."""
    items = docs.process_results(doc, results)
    why = _unasked(doc, docs.measured(docs.to_sample(doc)))
    if why is not None:
        for name, item in items.items():
            item["score"] = float(name == NOT_ASKED)
        items["named"] |= {"not_asked": NOTHING_OUTSIDE, "problem": f"not asked: {why}"}
    return items


def _unasked(doc: Mapping[str, str], sample: Sample) -> str | None:
    """Why a question is not asked, or None; of a video that failed nothing is known."""
    if failures.reason(sample.video) is not None:
        return None
    rule = ReflectionSettings(**json.loads(doc[SETTINGS]))
    if not rule.is_worth_asking(sample.spans, sample.duration):
        margin = rule.margin(sample.duration)
        failures.record_unasked(
            doc,
            f"its spans and a margin of {margin:g} s leave no {rule.least_seconds:g} s of the "
            f"video's {sample.duration:g} s",
        )
    return failures.unasked_reason(doc)


def model_problem(model: Any, *, force_simple: bool = False) -> str | None:
    """Why a model class cannot reflect, or None.

    Args:
        model: as in `--model`, a name or an alias; or an instance of a model class.
        force_simple: `--force_simple` was given.
    """
    found = _class_named(model, force_simple) if isinstance(model, str) else type(model)
    if getattr(found, "applies_masks", False):
        return None
    name = model if isinstance(model, str) else type(model).__name__
    return (
        f"--model {name} may show whole videos, but this task hides the annotated part, so that "
        "its answers would be worth nothing; use temporal_qwen_vl (backend=vllm runs it on vLLM) "
        "or temporal_openai, or a class of your own below VideoModel that sets applies_masks"
    )


def _class_named(model: str, force_simple: bool) -> type | None:
    """The model class of that name; None of lmms-eval's own, which need no import for this."""
    from lmms_eval.models import MODEL_REGISTRY_V2

    try:
        path = MODEL_REGISTRY_V2.resolve(model, force_simple).class_path
        if path.startswith("lmms_eval."):
            return None
        return MODEL_REGISTRY_V2.get_model_class(model, force_simple)
    except (ValueError, ImportError, AttributeError, TypeError):
        return None  # no such class, or it lacks a package: lmms-eval itself says which
