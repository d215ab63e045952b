"""What happened to the rows of one annotation file: counts by reason, with examples."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError, BadSpanError

logger = logging.getLogger(__name__)

EXAMPLES = 3


@dataclass
class Finding:
    """One reason: how many rows have it, what became of them, and a few of their places."""

    rows: int = 0
    dropped: int = 0
    changed: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class LoadReport:
    """The rows of one annotation file. `read = dropped + kept`; changed rows are among the kept.

    A row with two faults is in two findings, so those may add up to more than the rows.
    `selected` is what the sampling strategy and the weights left of the kept ones. `errors` holds
    those of malformed rows that the config does not tolerate. `policy` is what the config says
    about this file, as far as it decides what becomes of rows.
    """

    path: str
    policy: dict[str, Any] = field(default_factory=dict)
    read: int = 0
    dropped: int = 0
    changed: int = 0
    kept: int = 0
    selected: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    errors: list[AnnotationError] = field(default_factory=list)

    def note(self, reasons: Mapping[str, str], place: str) -> None:
        """Counts a row under each of `reasons`, whose values are "", "dropped" or "changed"."""
        if "dropped" in reasons.values():
            self.dropped += 1
        elif "changed" in reasons.values():
            self.changed += 1
        for reason, change in reasons.items():
            finding = self.findings.setdefault(reason, Finding())
            finding.rows += 1
            finding.dropped += change == "dropped"
            finding.changed += change == "changed"
            if len(finding.examples) < EXAMPLES:
                finding.examples.append(place)

    def drop(self, error: AnnotationError, *, tolerated: bool) -> None:
        """Counts the row of `error` as dropped, and keeps the error unless it is tolerated."""
        place = error.where.removeprefix(self.path).lstrip(": ")
        short = f"{place} {error.value}" if isinstance(error, BadSpanError) else str(error)
        self.note(dict.fromkeys(error.reasons, "dropped"), short)
        if not tolerated:
            self.errors.append(error)

    def log(self) -> None:
        """One INFO line for the file, and a line per reason: WARNING where rows were touched."""
        logger.info("%s", self.summary())
        for line, touched in self.lines():
            logger.log(logging.WARNING if touched else logging.INFO, "%s: %s", self.path, line)

    def summary(self) -> str:
        """The counts in one line."""
        return (
            f"{self.path}: {self.read} rows read, {self.dropped} dropped, "
            f"{self.changed} changed, {self.kept} kept, {self.selected} selected"
        )

    def lines(self) -> list[tuple[str, bool]]:
        """A line per reason, and whether any row was dropped or changed for it."""
        found = []
        for reason, finding in sorted(self.findings.items()):
            touched = bool(finding.dropped or finding.changed)
            text = (
                f"{reason}: {finding.rows} rows ({finding.dropped} dropped, "
                f"{finding.changed} changed), such as {'; '.join(finding.examples)}"
            )
            found.append((text, touched))
        return found

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        row = {item.name: getattr(self, item.name) for item in fields(self)}
        row["findings"] = {reason: asdict(self.findings[reason]) for reason in self.findings}
        row["errors"] = [str(error) for error in self.errors]
        return row
