"""Rows that existing projects prepared for verl or EasyR1: JSON, JSON lines or Parquet.

verl: `{"data_source", "prompt": [{"role", "content"}, ...], "videos": [...], "ability",
"reward_model": {"style", "ground_truth"}, "extra_info": {...}}`. EasyR1: `{"problem", "answer",
"videos": [...]}`. A row may hold both. A video is a path, or `{"video": path, "clip": [start,
end]}`, or qwen-vl-utils' `{"video": path, "video_start": s, "video_end": e}`.

The truth is read from, in this order,
- our own `encode_truth` text, which gives the whole sample back;
- `[start, end]` or `[[start, end], ...]`, as a list or as JSON text;
- any text that the answer parser understands: "12.5 to 17", {"start_time": ...}, "(B)"; a
  letter or an option's words where `extra_info` has `options`;
- anything else is the answer to an open question.
Times are seconds; for normalised ones see the format `temporal_r1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.choice_options import letter_of, option_list
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import id_part, need, rest, sample_id, samples, window
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.strict_json import loads
from temporal_plugin.answers import Truth, decode_truth, parse

SOURCE = "verl"
KEPT_INFO = ("id", "index", "split", "options", "duration", "query", "question")
VIDEO_TAGS = ("<video>", "<image>")


def read(path: str | Path, *, on_error: OnError, split: str | None = None) -> Iterator[Sample]:
    """One sample per row, with the id of its truth or `extra_info`, else `verl/<source>/<n>`.

    The query is the truth's or `extra_info`'s `query` or `question`; without them the whole
    text of the last user message, prompt and all. A `split` is written over the rows' own.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        info = _object("extra_info", row.get("extra_info"))
        own = check.text("split", info.get("split", ""), may_be_empty=True)
        own = own if split is None else split
        fields = {"split": own, **_video(row)}
        truth = _ground_truth(row)
        ours = _ours(truth)
        if ours is not None:
            return {**_from_truth(ours), **fields}
        source = check.text("data_source", row.get("data_source") or SOURCE)
        duration = info.get("duration")
        return {
            "id": _id(info, source, own, number),
            "query": _query(row, info),
            "duration": duration,
            "source": source,
            "extra": rest(info, *KEPT_INFO),
            **fields,
            **_task(truth, info.get("options"), duration),
        }

    kinds = (".parquet", ".jsonl", ".json")
    yield from samples(rows(Path(path), on_error, kinds), on_error, convert)


def _object(field: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        # Parquet gives a struct all keys that any row has, null where the row has none.
        return {name: item for name, item in value.items() if item is not None}
    raise AnnotationError("not an object", field=field, value=value, allowed="an object or null")


def _id(info: Mapping[str, Any], source: str, split: str, number: int) -> str:
    if "id" in info:
        return id_part("extra_info.id", info["id"])
    return sample_id(SOURCE, source, split, id_part("index", info.get("index", number)))


def _video(row: Mapping[str, Any]) -> dict[str, Any]:
    videos = check.items("videos", row.get("videos"))
    if len(videos) != 1:
        raise AnnotationError(
            f"{len(videos)} videos", field="videos", value=videos, allowed="one video per row"
        )
    entry = videos[0]
    if not isinstance(entry, dict):
        return {"video": entry}
    need(entry, "video")
    clip = entry.get("clip")
    if clip is None:
        clip = window(entry, "video_start", "video_end")
    return {"video": entry["video"], "clip": clip}


def _ground_truth(row: Mapping[str, Any]) -> object:
    truth = _object("reward_model", row.get("reward_model")).get("ground_truth")
    if truth is None:
        truth = row.get("answer")
    if truth is None:
        raise AnnotationError(
            "missing",
            field="ground_truth",
            allowed="reward_model.ground_truth (verl) or answer (EasyR1)",
        )
    return truth


def _ours(truth: object) -> Truth | None:
    if not (isinstance(truth, str) and truth.startswith('{"id":')):
        return None
    try:
        fields = loads(truth, "")
        fields.pop("contract", None)  # of the prompt that EasyR1's row asks with
        return decode_truth(json.dumps(fields))
    except ValueError as error:
        raise AnnotationError(
            f"not a truth of ours ({error})", field="ground_truth", value=truth
        ) from None


def _from_truth(truth: Truth) -> dict[str, Any]:
    return {
        "id": truth.id,
        "task": truth.task,
        "query": truth.query,
        "spans": [[span.start_seconds, span.end_seconds] for span in truth.spans],
        "duration": truth.duration,
        "options": truth.options,
        "answer": truth.answer,
        "source": truth.source,
    }


def _task(truth: object, options: object, duration: object) -> dict[str, Any]:
    if options:
        words = option_list("options", options)
        letter = letter_of("ground_truth", truth, words)
        return {"task": "choice", "options": words, "answer": letter}
    if isinstance(truth, str) and truth.lstrip().startswith("["):
        truth = loads(truth, "")
    if isinstance(truth, (list, tuple)):
        single = len(truth) == 2 and not isinstance(truth[0], (list, tuple))
        return {"task": "grounding", "spans": [truth] if single else truth}
    text = check.text("ground_truth", truth)
    spans = parse(text, duration_seconds=check.duration("duration", duration)).spans
    if spans:
        pairs = [[span.start_seconds, span.end_seconds] for span in spans]
        return {"task": "grounding", "spans": pairs}
    return {"task": "open", "answer": text}


def _query(row: Mapping[str, Any], info: Mapping[str, Any]) -> str:
    for name in ("query", "question"):
        if name in info:
            return info[name]
    if row.get("problem") is not None:
        return _untagged(check.text("problem", row["problem"]))
    turns = [
        turn
        for turn in check.items("prompt", row.get("prompt"))
        if isinstance(turn, dict) and turn.get("role") == "user"
    ]
    if not turns:
        raise AnnotationError(
            "no question",
            field="prompt",
            value=row.get("prompt"),
            allowed="a user message, `problem`, or extra_info.query",
        )
    return _untagged(_text(turns[-1].get("content")))


def _text(content: object) -> str:
    if isinstance(content, (list, tuple)):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return check.text("prompt", content)


def _untagged(text: str) -> str:
    for tag in VIDEO_TAGS:
        text = text.replace(tag, "")
    return text.strip()
