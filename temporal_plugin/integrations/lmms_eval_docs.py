"""What lmms-eval asks of a task, answered for one `Sample`: messages, text, target, scores.

A document (lmms-eval's row) is `{id, video, query, prompt, kind, sample}`: `video` is the name
within the dataset, by which standard errors are clustered; `kind` is a key of `KINDS`; `sample` is
the whole `Sample` as JSON, with the absolute path of its video.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import fmean
from typing import Any

from temporal_plugin import answers, metrics, prompts
from temporal_plugin.annotations.durations import with_duration
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import Answer
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import lmms_eval_keyframes as keyframes
from temporal_plugin.integrations import lmms_eval_subtitles as subtitles
from temporal_plugin.integrations.lmms_eval_kinds import KINDS, Kind, letter_of
from temporal_plugin.metrics.means import REQUEST_FAILURE
from temporal_plugin.spans import Span

load_prompt = lru_cache(maxsize=32)(prompts.load)


def to_doc(sample: Sample, video_name: str, prompt: str, kind: str = "grounding") -> dict[str, str]:
    """One row of the dataset that lmms-eval iterates over."""
    return {
        "id": sample.id,
        "video": video_name,
        "query": sample.query,
        "prompt": prompt,
        "kind": kind,
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
    sample = measured(to_sample(doc))
    if failures.reason(sample.video) is not None:
        return [{"role": "user", "content": [{"type": "text", "text": sample.query}]}]
    messages = []
    for message in load_prompt(doc["prompt"]).messages(_asked(sample)):
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        content = [_video(sample) if part["type"] == "video" else part for part in content]
        messages.append({"role": message["role"], "content": content})
    return messages


def _asked(sample: Sample) -> Sample:
    """The sample as the prompt shows it: with the subtitles, where its task shows any."""
    text = sample.extra.get(subtitles.KEY)
    return replace(sample, query=subtitles.before_question(text, sample.query)) if text else sample


def measured(sample: Sample) -> Sample:
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
    """The true answer as text, for the logs: a letter, spans, or both."""
    sample = to_sample(doc)
    spans = ", ".join(f"{span.start_seconds:g} to {span.end_seconds:g}" for span in sample.spans)
    letter = letter_of(sample) or ("" if spans else sample.answer or "")
    return "; ".join(part for part in (letter, spans) if part)


def process_results(doc: Mapping[str, str], results: Sequence[Any]) -> dict[str, dict]:
    """Score a document; every question gets every metric, so that no denominator shrinks.

    A failed request (its video could not be read, a server did not answer) scores 0 and counts in
    `request_failure`, not in `parse_failure`.

    Args:
        doc: as `to_doc` makes it.
        results: one response, or a list of several (`repeats`), whose scores are averaged.

    Returns:
        For each metric an item `{"score": value in [0, 1], "video": cluster}`; that of the kind's
        `details` also describes the question and the answer (see `lmms_eval_results`). The joint
        metrics' items hold "precision" and "recall" in place of the score.
    """
    sample = measured(to_sample(doc))
    kind = KINDS[doc.get("kind", "grounding")]
    responses = _responses(results)
    failed = failures.reason(sample.video)
    if failed is None and results and results[0] == []:
        failed = "it was never asked: the run's token budget was spent"
    if failed is None and not any(responses):
        failed = failures.request_reason(doc)
    if failed is not None:
        responses = [""] * len(responses)
    found = [_answer(doc, sample, response) for response in responses]
    scores, failed = _scores(kind, sample, found, failed)
    items: dict[str, dict] = {
        name: {"score": score, "video": doc["video"]} for name, score in scores.items()
    }
    for name, (precision, recall) in kind.joint.items():
        parts = {"precision": scores[precision], "recall": scores[recall]}
        items[name] = {**parts, "video": doc["video"]}
    items[kind.details] |= _details(doc, sample, responses, found, failed)
    return items


def _responses(results: Sequence[Any]) -> list[str]:
    """The responses to one question, at least one; a model class may return None."""
    given = results[0] if results and isinstance(results[0], list) else results[:1]
    return [text if isinstance(text, str) else "" for text in given] or [""]


def _answer(doc: Mapping[str, str], sample: Sample, response: str) -> Answer:
    return answers.parse(
        response,
        options=sample.options or None,
        duration_seconds=sample.duration,
        contract=load_prompt(doc["prompt"]).contract,
    )


def _scores(
    kind: Kind, sample: Sample, found: Sequence[Answer], failed: str | None
) -> tuple[dict[str, float], str | None]:
    """The means over the responses, and why the request failed, if it did."""
    if failed is None:
        try:
            rows = [kind.score(answer, sample) for answer in found]
        except failures.RequestFailed as error:  # no judge answered, a video became unreadable
            failed = str(error)
        else:
            means = {key: fmean(row[key] for row in rows) for key in kind.keys}
            return {**means, REQUEST_FAILURE: 0.0}, None
    return {**dict.fromkeys(kind.keys, 0.0), REQUEST_FAILURE: 1.0}, failed


def _details(
    doc: Mapping[str, str],
    sample: Sample,
    responses: Sequence[str],
    found: Sequence[Answer],
    failed: str | None,
) -> dict[str, Any]:
    """What a sample log says about a question besides its scores."""
    prompt = load_prompt(doc["prompt"])
    answer, kind = found[0], KINDS[doc.get("kind", "grounding")]
    details: dict[str, Any] = {
        "id": sample.id,
        "kind": kind.name,
        "query": sample.query,
        "source": sample.source,
        "duration": sample.duration,
        "path": sample.video,
        "prediction": _pairs(answer.spans),
        "truth": _pairs(sample.spans),
        "choice": answer.choice,
        "letter": letter_of(sample),
        "well_formed": answer.well_formed,
        "problem": answer.problem if failed is None else f"request failed: {failed}",
        "response": responses[0],
        "prompt": prompt.name,
        "prompt_fingerprint": prompt.fingerprint,
    }
    if kind.name == "search":
        details["predicted_seconds"] = keyframes.predicted(answer)
    if len(responses) > 1:
        details["responses"] = list(responses)
        details["predictions"] = [_pairs(each.spans) for each in found]
        details["choices"] = [each.choice for each in found]
        details["problems"] = [each.problem for each in found]
    return details


def _pairs(spans: Sequence[Span]) -> list[list[float]]:
    return [[span.start_seconds, span.end_seconds] for span in spans]


def mean_score(items: Sequence[Mapping[str, Any] | None]) -> float:
    """Mean of the items' scores over all questions: lmms-eval's own mean takes bare numbers.

    None stands for a question of another category, which is no part of this metric.
    """
    return fmean(item["score"] for item in items if item is not None)


def count(items: Sequence[Mapping[str, Any] | None]) -> int:
    """How many questions a category has."""
    return sum(item is not None for item in items)


def f1_of_means(items: Sequence[Mapping[str, Any]]) -> float:
    """The harmonic mean of the mean precision and the mean recall over all questions."""
    means = [fmean(item[name] for item in items) for name in ("precision", "recall")]
    return metrics.visual_f1(*means)
