"""The tables of a group of evaluations."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Sequence

from temporal_plugin.metrics import LOWER_IS_BETTER
from temporal_plugin.report import comparison
from temporal_plugin.report.differences import Difference
from temporal_plugin.report.entries import Entry
from temporal_plugin.report.evaluation import HEADINGS, Group
from temporal_plugin.report.published import Published
from temporal_plugin.report.tables import Table

LONGEST_HEADING = 24  # letters of a run's name above a column


def overview_table(groups: Sequence[Group]) -> Table:
    """The main score of every run of every benchmark."""
    rows = [
        (
            group.title,
            entry.label,
            "?" if entry.run.questions is None else str(entry.run.questions),
            HEADINGS.get(group.main, group.main),
            *(_cell(entry, name) for name in (group.main, "parse_failure", "request_failure")),
        )
        for group in groups
        for entry in group.entries
    ]
    headings = ("benchmark", "run", "n", "metric", "score", "unparsed", "failed")
    return Table(headings, rows, title="Overview", left=2)


def scores_table(group: Group) -> Table:
    """Runs, then published rows, with one column per metric.

    Scores of our tasks and published ones are in percent, with one standard error; those of
    lmms-eval's own tasks are as it printed them.
    """
    marks = dict(zip(group.differing, string.ascii_lowercase, strict=False))
    sources = list(dict.fromkeys(map(_source, group.published)))
    rows = [
        (
            entry.label,
            _marks(group, number, marks),
            "?" if entry.run.questions is None else str(entry.run.questions),
            *(_cell(entry, name) for name in group.names),
        )
        for number, entry in enumerate(group.entries)
    ]
    first = len(rows)
    rows += [
        (
            f"{row.model}, {row.setting}" if row.setting != "unknown" else row.model,
            f"[{sources.index(_source(row)) + 1}]" + "*" * row.second_hand,
            "",
            *(_percent(row.metrics.get(name)) for name in group.names),
        )
        for row in group.published
    ]
    return Table(
        ["run", "notes", "n", *(HEADINGS.get(name, name) for name in group.names)],
        rows,
        title=_title(group),
        notes=_notes(group, marks, sources),
        left=2,
        dim=frozenset(range(first, len(rows))),
    )


def _title(group: Group) -> str:
    tasks = list(dict.fromkeys(entry.run.task for entry in group.entries))
    named = len(tasks) > 1 or group.title.endswith(tasks[0])
    return group.title if named else f"{group.title} ({tasks[0]})"


def _source(row: Published) -> str:
    return f"{row.source}; {row.note}" if row.note else row.source


def _marks(group: Group, number: int, marks: dict[str, str]) -> str:
    """The letters of the settings in which an entry differs from the first one."""
    return "".join(
        mark
        for name, mark in marks.items()
        if group.differing[name][number] != group.differing[name][0]
    )


def _cell(entry: Entry, name: str) -> str:
    found = entry.run.metrics.get(name)
    if found is None:
        return ""
    value, error = found
    if not entry.run.is_ours:
        return f"{value:.4g}"
    return _with_error(name, value, error)


def _with_error(name: str, value: float, error: float | None) -> str:
    """A share in percent; the rates of failures without their error."""
    unknown = error is None or error != error or name in LOWER_IS_BETTER
    return _percent(value) + ("" if unknown else f"±{100 * error:.1f}")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _notes(group: Group, marks: dict[str, str], sources: Sequence[str]) -> list[str]:
    notes = []
    if any(entry.run.is_ours for entry in group.entries):
        notes.append("percent; ± one standard error, clustered by video")
    for name, mark in marks.items():
        values = zip(group.entries, group.differing[name], strict=True)
        told = "; ".join(f"{entry.label}: {value}" for entry, value in values)
        notes.append(f"{mark}: other {name} ({told})")
    for entry in group.entries:
        if entry.run.left_out:
            notes.append(f"{entry.label}: no numbers, left out: {', '.join(entry.run.left_out)}")
        if entry.questions is not None and entry.run.questions not in (None, len(entry.questions)):
            notes.append(
                f"{entry.label}: the sample log holds {len(entry.questions)} of "
                f"{entry.run.questions} questions"
            )
    notes += [f"[{number}] published: {source}" for number, source in enumerate(sources, 1)]
    if any(row.second_hand for row in group.published):
        notes.append("* at second hand. Prompts and frames of published rows are their authors'")
    return notes


def difference_table(found: Difference) -> Table:
    """The paired comparison of two runs, or why there is none."""
    names = (found.first, found.second)
    if max(map(len, names)) > LONGEST_HEADING:
        names = ("first", "second")
        title = f"second: {found.second}; first: {found.first}"
    else:
        title = f"{found.second} against {found.first}"
    if found.refused:
        return Table((), (), title=title, notes=[f"not compared: {found.refused}"], left=0)
    notes = [f"{found.questions}; paired bootstrap over {found.over}"]
    if found.left_out:
        notes.append(f"no number for every question, left out: {', '.join(found.left_out)}")
    table = comparison.table(found.rows, ("metric", *names), HEADINGS)
    return dataclasses.replace(table, title=title, notes=notes)


def breakdown_table(group: Group, field: str) -> Table:
    """The scores of each entry by the values of a category, in percent; published ones below."""
    parts = [(entry, group.breakdown(entry, field)) for entry in group.entries]
    names = [
        name
        for name in (*group.names, "request_failure")
        if any(name in means for _, found in parts for means in found.values())
    ]
    names = list(dict.fromkeys(names))
    rows: list[tuple[str, ...]] = []
    dim = set()
    for value in dict.fromkeys(value for _, found in parts for value in found):
        for entry, found in parts:
            if value in found:
                count = f"{found[value]['questions']:.0f}"
                rows.append((value, entry.label, count, *(_mean(found[value], n) for n in names)))
        for row in group.published:
            known = {name: row.metrics.get(f"{name}/{value}") for name in names}
            if any(share is not None for share in known.values()):
                dim.add(len(rows))
                rows.append((value, row.model, "", *map(_percent, known.values())))
    headings = (field, "run", "n", *(HEADINGS.get(name, name) for name in names))
    without = [entry.label for entry, found in parts if not found]
    notes = [f"no sample log: {', '.join(without)}"] if without else []
    title = f"{group.title} by {field}"
    return Table(headings, rows, title=title, notes=notes, left=2, dim=frozenset(dim))


def _mean(means: dict[str, float], name: str) -> str:
    return _with_error(name, means[name], means[f"{name}_stderr"]) if name in means else ""
