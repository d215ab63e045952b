"""`Sample`: the one row type, in memory and on disk (one JSON object a line)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError, BadSpanError
from temporal_plugin.annotations.span_faults import UNHOLDABLE, span_faults
from temporal_plugin.spans import Span

CLIP_ALLOWED = "[start, end] with 0 <= start < end, or null for the whole file"

TASKS = ("grounding", "choice", "grounded_choice", "open")


@dataclass(frozen=True)
class Sample:
    """One question about one video.

    Attributes:
        id: unique within everything loaded together, the same at each load.
        task: one of `TASKS`.
        video: path of the file; absolute once loaded by `load_samples`.
        query: the event to find or the question to answer.
        spans: true spans in seconds, relative to `clip` where there is one.
        clip: the part of the file that the model sees, seconds in the file; None: all of it.
        duration: seconds of what the model sees; None where unknown.
        options: the answers to choose from; two or more for the choice tasks.
        answer: the true answer; for choice tasks as the dataset's reader documents it.
        source: dataset name, and `split` its part.
        extra: further JSON values, kept as they came.

    Raises:
        AnnotationError: a value breaks the above (names field, value and what is allowed).
    """

    id: str
    task: str
    video: str
    query: str
    spans: tuple[Span, ...] = ()
    clip: Span | None = None
    duration: float | None = None
    options: tuple[str, ...] = ()
    answer: str | None = None
    source: str = ""
    split: str = ""
    extra: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check.text("id", self.id)
        check.video_path("video", self.video)
        check.text("query", self.query)
        for name in ("source", "split"):
            check.text(name, getattr(self, name), may_be_empty=True)
        if self.answer is not None:
            check.text("answer", self.answer, may_be_empty=True)
        # Ints become floats, so that equal rows are written equal.
        object.__setattr__(self, "duration", check.duration("duration", self.duration))
        _check_task(self)
        _check_times(self)
        if not isinstance(self.extra, dict) or not all(isinstance(key, str) for key in self.extra):
            raise AnnotationError(
                "not an object", field="extra", value=self.extra, allowed="an object"
            )

    @classmethod
    def from_dict(cls, row: dict[str, Any], *, where: str = "row") -> Sample:
        """A sample from one JSON object; keys that are no field move into `extra`.

        `where` ("file:line") goes into each error.

        Raises:
            BadSpanError: a true span is reversed or starts before zero.
            AnnotationError: anything else is malformed.
        """
        try:
            return cls(**_arguments(row))
        except AnnotationError as error:
            raise error.at(where) from None

    def moved(self, video: str) -> Sample:
        """The same sample with its file elsewhere.

        Raises:
            AnnotationError: `video` is no safe path.
        """
        # Not `replace`, which would check all other fields once more, for every row of a load.
        copy = object.__new__(Sample)
        copy.__dict__.update(self.__dict__, video=check.video_path("video", video))
        return copy

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; `from_dict` of it gives an equal sample."""
        row = {name: getattr(self, name) for name in FIELDS}
        row["spans"] = [_pair(span) for span in self.spans]
        row["clip"] = None if self.clip is None else _pair(self.clip)
        row["options"] = list(self.options)
        row["extra"] = dict(self.extra)
        return row


FIELDS = tuple(item.name for item in fields(Sample))
REQUIRED = ("id", "task", "video", "query")


def _pair(span: Span) -> list[float]:
    return [span.start_seconds, span.end_seconds]


def _arguments(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or not all(isinstance(key, str) for key in row):
        raise AnnotationError("not an object", value=row, allowed="a JSON object per row")
    for name in REQUIRED:
        if name not in row:
            raise AnnotationError(
                "missing", field=name, allowed=f"every row has {', '.join(REQUIRED)}"
            )
    known = {name: row[name] for name in FIELDS if name in row}
    known["extra"] = _extra(row)
    if "options" in known:
        known["options"] = tuple(check.items("options", known["options"]))
    if known.get("clip") is not None:
        known["clip"] = _clip(known["clip"])
    known["spans"] = _spans(known.get("spans", ()), known.get("duration"))
    return known


def _extra(row: dict[str, Any]) -> dict[str, Any]:
    extra = row.get("extra", {})
    if not isinstance(extra, dict):
        raise AnnotationError("not an object", field="extra", value=extra, allowed="an object")
    unknown = {key: value for key, value in row.items() if key not in FIELDS}
    for key in unknown.keys() & extra.keys():
        raise AnnotationError(
            "given twice: in the row and in its 'extra'", field=key, remedy="keep one of them"
        )
    return {**extra, **unknown}


def _clip(value: Any) -> Span:
    pair = check.number_pair("clip", value)
    try:
        return Span(*pair)
    except ValueError:
        raise AnnotationError(
            "no such stretch of time", field="clip", value=value, allowed=CLIP_ALLOWED
        ) from None


def _spans(value: Any, duration: Any) -> tuple[Span, ...]:
    pairs = [check.number_pair("spans", pair) for pair in check.items("spans", value)]
    faults = span_faults(pairs, check.duration("duration", duration))
    if UNHOLDABLE & set(faults):
        raise BadSpanError(
            "no such stretch of time",
            reasons=faults,
            field="spans",
            value=[list(pair) for pair in pairs],
            allowed="[start, end] with 0 <= start <= end",
            remedy="correct the row, or let load_samples count and drop it",
        )
    return tuple(Span(*pair) for pair in pairs)


def _check_task(sample: Sample) -> None:
    if sample.task not in TASKS:
        raise AnnotationError(
            "unknown task", field="task", value=sample.task, allowed=", ".join(TASKS)
        )
    if not isinstance(sample.options, tuple):
        raise AnnotationError(
            "not a tuple", field="options", value=sample.options, allowed="a tuple of strings"
        )
    for option in sample.options:
        check.text("options", option)
    if "choice" in sample.task and len(sample.options) < 2:
        raise AnnotationError(
            f"task '{sample.task}' has nothing to choose from",
            field="options",
            value=list(sample.options),
            allowed="two or more options",
        )


def _check_times(sample: Sample) -> None:
    spans_are_spans = isinstance(sample.spans, tuple) and all(
        isinstance(span, Span) for span in sample.spans
    )
    if not spans_are_spans:
        raise AnnotationError(
            "not spans", field="spans", value=sample.spans, allowed="a tuple of Span"
        )
    if sample.clip is None:
        return
    if not isinstance(sample.clip, Span):
        raise AnnotationError("not a span", field="clip", value=sample.clip, allowed="a Span")
    if sample.clip.start_seconds == sample.clip.end_seconds:
        raise AnnotationError(
            "shows nothing", field="clip", value=_pair(sample.clip), allowed=CLIP_ALLOWED
        )
