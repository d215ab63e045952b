"""The one error for annotation files and data configs."""

from __future__ import annotations

import reprlib
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = 100
_SHORT.maxother = 100
_SHORT.maxlong = 40

_ABSENT = object()

MALFORMED = "malformed_row"
"""Reason of a row that does not follow its format."""


def shown(value: object) -> str:
    """`value` as a message may show it: short, whatever the value's size or depth."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer with more digits than Python agrees to print
        return f"<{type(value).__name__} too large to print>"


class AnnotationError(ValueError):
    """An annotation row, annotation file or data config breaks its format.

    Attributes name the place (`where`: file and line, or file and record), the `field`,
    its `value`, what is `allowed` and the `remedy`. `reasons` are the counters the row
    falls under when it is dropped instead of raised.
    """

    where = ""
    reasons: tuple[str, ...] = (MALFORMED,)

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        field: str = "",
        value: object = _ABSENT,
        allowed: str = "",
        remedy: str = "",
    ) -> None:
        # `args` holds the problem alone so that the error survives pickling by a worker.
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.field = field
        self.value = None if value is _ABSENT else value
        self.allowed = allowed
        self.remedy = remedy
        self._shown = "" if value is _ABSENT else shown(value)

    def __str__(self) -> str:
        place = [self.where] if self.where else []
        if self.field:
            place.append(f"field '{self.field}'")
        text = ": ".join([*place, self.problem])
        parts = [text]
        if self._shown:
            parts.append(f"value: {self._shown}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.remedy:
            parts.append(f"remedy: {self.remedy}")
        return "; ".join(parts)

    def at(self, where: str) -> AnnotationError:
        """The same error, placed at `where` unless it already names a place."""
        self.where = self.where or where
        return self


class BadSpanError(AnnotationError):
    """A true span that no `Span` can hold: reversed, or starting before zero.

    Unlike a malformed row this is a defect known in published files, so a load counts
    and drops the row instead of stopping. `reasons` holds every fault of the row's spans.
    """

    def __init__(self, problem: str, *, reasons: tuple[str, ...] = (), **named: Any) -> None:
        super().__init__(problem, **named)
        self.reasons = reasons


class NoLabelError(AnnotationError):
    """A row whose truth its authors keep back, as in the test files of many benchmarks.

    A sample without truth would read as a question about something that is not in the video,
    so it is never made.
    """

    reasons = ("no_label",)

    def __init__(self, field: str) -> None:
        super().__init__(
            "the truth of this row is not published",
            field=field,
            allowed="labelled rows",
            remedy="read the labelled split, or set on_bad_row: drop to leave such rows out",
        )
