"""What lmms-eval asks of a task, answered for one `Sample`: messages, text, target, scores.

A document (lmms-eval's row) is `{id, video, query, prompt, sample}`: `video` is the name within
the dataset, by which standard errors are clustered; `sample` is the whole `Sample` as JSON, with
the absolute path of its video.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean
from typing import Any

from temporal_plugin import answers, metrics, prompts
from temporal_plugin.annotations.durations import with_duration
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.spans import Span

DETAILS_METRIC = "miou"
"""The metric whose item in a sample log also holds id, query, prediction, truth and so on."""

load_prompt = lru_cache(maxsize=32)(prompts.load)


def to_doc(sample: Sample, video_name: str, prompt: str) -> dict[str, str]:
    """One row of the dataset that lmms-eval iterates over."""
    return {
        "id": sample.id,
        "video": video_name,
        "query": sample.query,
        "prompt": prompt,
        "sample": json.dumps(sample.to_dict(), ensure_ascii=False),
    }


def to_sample(doc: Mapping[str, str]) -> Sample:
    """The sample a document was made from."""
    return _sample(doc["sample"])


@lru_cache(maxsize=4096)
def _sample(text: str) -> Sample:
    return Sample.from_dict(json.loads(text), where="lmms-eval document")


def doc_to_messages(doc: Mapping[str, str], lmms_eval_specific_kwargs: Any = None) -> list[dict]:
    """Chat messages; the video entry is `{"type": "video", "url": path}` plus the clip's times.

    A question about a video known to be broken is its bare text without the video, so that no
    model class stops the run over it; the answer is never scored.

    Raises:
        ValueError: the prompt speaks of something that the sample lacks.
    """
    sample = _measured(to_sample(doc))
    if failures.reason(sample.video) is not None:
        return [{"role": "user", "content": [{"type": "text", "text": sample.query}]}]
    messages = []
    for message in load_prompt(doc["prompt"]).messages(sample):
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        content = [_video(sample) if part["type"] == "video" else part for part in content]
        messages.append({"role": message["role"], "content": content})
    return messages


def _measured(sample: Sample) -> Sample:
    """`with_duration`, where a video that cannot be measured is recorded as failed."""
    if failures.reason(sample.video) is not None:
        return sample
    try:
        return with_duration(sample)
    except ValueError as error:
        failures.record(sample.video, f"its length cannot be read ({error})")
        return sample


def _video(sample: Sample) -> dict:
    entry = {"type": "video", "url": sample.video}
    if sample.clip is not None:
        entry["start_time"] = sample.clip.start_seconds
        entry["end_time"] = sample.clip.end_seconds
    return entry


def doc_to_visual(doc: Mapping[str, str], lmms_eval_specific_kwargs: Any = None) -> list[str]:
    """The path of the video, for model classes without chat messages; empty where it failed."""
    video = to_sample(doc).video
    return [] if failures.reason(video) is not None else [video]


def doc_to_text(doc: Mapping[str, str], lmms_eval_specific_kwargs: Any = None) -> str:
    """The text of the question, for model classes without chat messages (system text first)."""
    texts = [
        entry["text"]
        for message in doc_to_messages(doc)
        for entry in message["content"]
        if entry["type"] == "text"
    ]
    return "\n".join(texts)


def doc_to_target(doc: Mapping[str, str]) -> str:
    """The true spans as text, for the logs."""
    spans = to_sample(doc).spans
    return ", ".join(f"{span.start_seconds:g} to {span.end_seconds:g}" for span in spans)


def process_results(doc: Mapping[str, str], results: Sequence[str]) -> dict[str, dict]:
    """Score one response; every question gets every metric, so that no denominator shrinks.

    A failed request (its video could not be read, a server did not answer) scores 0 and counts in
    `request_failure`, not in `parse_failure`.

    Returns:
        For each metric an item `{"score": value in [0, 1], "video": cluster}`; that of
        DETAILS_METRIC also describes the question and the answer (see `lmms_eval_results`).
    """
    sample = _measured(to_sample(doc))
    failed = failures.reason(sample.video)
    if failed is None and not any(results):
        failed = failures.request_reason(doc)
    response = "" if failed is not None or not results else results[0]
    prompt = load_prompt(doc["prompt"])
    answer = answers.parse(response, duration_seconds=sample.duration, contract=prompt.contract)
    scores = dict(metrics.grounding_item(answer, sample.spans))
    if failed is not None:
        scores["parse_failure"] = 0.0
    scores["request_failure"] = float(failed is not None)
    items = {name: {"score": score, "video": doc["video"]} for name, score in scores.items()}
    items[DETAILS_METRIC] |= {
        "id": sample.id,
        "query": sample.query,
        "duration": sample.duration,
        "path": sample.video,
        "prediction": _pairs(answer.spans),
        "truth": _pairs(sample.spans),
        "well_formed": answer.well_formed,
        "problem": answer.problem if failed is None else f"request failed: {failed}",
        "response": response,
        "prompt": prompt.name,
        "prompt_fingerprint": prompt.fingerprint,
    }
    return items


def _pairs(spans: Sequence[Span]) -> list[list[float]]:
    return [[span.start_seconds, span.end_seconds] for span in spans]


def mean_score(items: Sequence[Mapping[str, Any]]) -> float:
    """Mean of the items' scores over all questions: lmms-eval's own mean takes bare numbers."""
    return fmean(item["score"] for item in items)
