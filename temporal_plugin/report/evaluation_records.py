"""The numbers of a report as CSV and JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from temporal_plugin.report.entries import Entry
from temporal_plugin.report.evaluation import Group
from temporal_plugin.report.published import Published

CSV_FIELDS = (
    *("benchmark", "task", "kind", "name", "setting", "source", "second_hand", "questions"),
    *("category", "metric", "value", "stderr", "differs_in"),
)


def write_csv(path: Path, groups: Sequence[Group]) -> None:
    """One line per number: of runs, of their breakdowns, and of published rows.

    Values of our tasks and published ones are shares in [0, 1].
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CSV_FIELDS, restval="")
        writer.writeheader()
        for group in groups:
            writer.writerows(_records(group))


def _records(group: Group) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(group.entries):
        about = {
            "benchmark": group.name,
            "task": entry.run.task,
            "kind": "run",
            "name": entry.label,
            "source": str(entry.run.results),
            "questions": entry.run.questions,
            "differs_in": " ".join(
                name for name, values in group.differing.items() if values[number] != values[0]
            ),
        }
        for name, (value, error) in entry.run.metrics.items():
            yield about | {"metric": name, "value": value, "stderr": error}
        for field in group.category_fields:
            for category, means in group.breakdown(entry, field).items():
                part = {"category": f"{field}={category}", "questions": int(means["questions"])}
                for name, value in means.items():
                    if name != "questions" and not name.endswith("_stderr"):
                        error = means[f"{name}_stderr"]
                        error = None if error != error else error
                        yield about | part | {"metric": name, "value": value, "stderr": error}
    for row in group.published:
        for name, value in row.metrics.items():
            yield _published_record(row) | {"metric": name, "value": value}


def _published_record(row: Published) -> dict[str, Any]:
    return {
        "benchmark": row.benchmark,
        "kind": "published",
        "name": row.model,
        "setting": row.setting,
        "source": row.source,
        "second_hand": row.second_hand,
    }


def as_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Everything the report knows, as values that JSON can hold."""
    return {"ok": True, "benchmarks": [_group_json(group) for group in groups]}


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "benchmark": group.name,
        "title": group.title,
        "runs": [_entry_json(entry) for entry in group.entries],
        "published": [
            _published_record(row) | {"note": row.note, "metrics": dict(row.metrics)}
            for row in group.published
        ],
        "differing": {
            name: dict(zip((e.label for e in group.entries), values, strict=True))
            for name, values in group.differing.items()
        },
        "differences": [
            {
                "first": found.first,
                "second": found.second,
                "questions": found.shared,
                "only_first": found.only_first,
                "only_second": found.only_second,
                "refused": found.refused or None,
                "metrics": {
                    row.metric: {
                        "first": row.before,
                        "second": row.after,
                        "difference": row.difference,
                        "interval_95": [row.low, row.high],
                    }
                    for row in found.rows
                },
            }
            for found in group.differences
        ],
        "breakdowns": {field: _breakdown_json(group, field) for field in group.category_fields},
    }


def _entry_json(entry: Entry) -> dict[str, Any]:
    run = entry.run
    return {
        "name": entry.label,
        "task": run.task,
        "model": run.model,
        "results": str(run.results),
        "questions": run.questions,
        "available": run.available,
        "metrics": {
            name: {"value": value, "stderr": error} for name, (value, error) in run.metrics.items()
        },
        "left_out": list(run.left_out),
    }


def _breakdown_json(group: Group, field: str) -> dict[str, Any]:
    return {
        entry.label: {
            category: {name: None if value != value else value for name, value in means.items()}
            for category, means in group.breakdown(entry, field).items()
        }
        for entry in group.entries
    }
