"""The ground truth of one question as JSON text, for hosts that carry only a string."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporal_plugin.spans import Span


@dataclass(frozen=True, slots=True)
class Truth:
    """What scoring needs of a Sample. `duration` and `spans` are seconds, relative to the clip."""

    id: str
    task: str = "grounding"
    spans: tuple[Span, ...] = ()
    duration: float | None = None
    options: tuple[str, ...] = ()
    answer: str | None = None
    query: str = ""
    video: str = ""
    source: str = ""


_TEXTS = ("id", "task", "query", "video", "source")


def encode_truth(sample: Any) -> str:
    """`sample`, a Sample or a Truth, as a JSON object that `decode_truth` reads back.

    Raises:
        ValueError: a value is not finite.
    """
    fields = {name: getattr(sample, name) for name in Truth.__dataclass_fields__}
    fields["spans"] = [[span.start_seconds, span.end_seconds] for span in sample.spans]
    fields["options"] = list(sample.options)
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def decode_truth(text: str) -> Truth:
    """The truth that `encode_truth` wrote; absent fields get their defaults.

    Raises:
        ValueError: not a JSON object, or a field of it is wrong; the message names the field.
    """
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"ground truth {str(text)[:80]!r} is not JSON ({error}); write it with encode_truth."
        ) from error
    if not isinstance(fields, dict) or "id" not in fields:
        raise ValueError(
            f"ground truth {text[:80]!r} must be a JSON object with at least 'id'; "
            "write it with encode_truth."
        )
    unknown = sorted(set(fields) - set(Truth.__dataclass_fields__))
    if unknown:
        allowed = ", ".join(Truth.__dataclass_fields__)
        raise _wrong(fields, unknown[0], f"an unknown field; allowed are {allowed}")
    return Truth(
        **{name: _text(fields, name) for name in _TEXTS if name in fields},
        spans=_spans(fields),
        duration=_duration(fields),
        options=_options(fields),
        answer=None if fields.get("answer") is None else _text(fields, "answer"),
    )


def _wrong(fields: Mapping[str, Any], name: str, what: str) -> ValueError:
    return ValueError(
        f"ground truth {fields['id']!r}: {name} is {fields.get(name)!r}, {what}; "
        "write it with encode_truth."
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise _wrong(fields, name, "but must be a string")
    return value


def _duration(fields: Mapping[str, Any]) -> float | None:
    value = fields.get("duration")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(fields, "duration", "but must be finite seconds or null")
    return float(value)


def _spans(fields: Mapping[str, Any]) -> tuple[Span, ...]:
    try:
        return tuple(Span(start, end) for start, end in fields.get("spans", ()))
    except (TypeError, ValueError) as error:
        raise _wrong(fields, "spans", f"but must be [[start, end], ...] ({error})") from error


def _options(fields: Mapping[str, Any]) -> tuple[str, ...]:
    value = fields.get("options", [])
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        raise _wrong(fields, "options", "but must be a list of strings")
    return tuple(value)
