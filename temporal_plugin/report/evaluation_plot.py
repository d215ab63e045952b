"""The picture of a report: recall over IoU, and scores by category, a row per benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from temporal_plugin.report.canvas import DOTS_PER_INCH, RUNS, new_figure
from temporal_plugin.report.entries import Entry
from temporal_plugin.report.evaluation import HEADINGS, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg", ".pdf")
WIDTH_INCHES, ROW_INCHES = 11.0, 3.6
LEVELS = np.linspace(0.01, 1.0, 100)  # every run reaches an IoU of 0
MOST_CATEGORIES = 20


def draw(path: Path, groups: Sequence[Group], fields: Sequence[str] = ()) -> None:
    """Writes the picture; `fields`: the category to show, else the first one of the logs.

    Raises:
        ValueError: the file's ending is not one of `FORMATS`.
        ImportError: matplotlib is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"--plot {path}: the ending must be one of {', '.join(FORMATS)}")
    figure = new_figure(WIDTH_INCHES, ROW_INCHES * len(groups))
    axes = figure.subplots(len(groups), 2, squeeze=False, width_ratios=[2, 3])
    for group, (left, right) in zip(groups, axes, strict=True):
        if any(_overlaps(entry) is not None for entry in group.entries):
            _draw_recall(left, group)
        else:
            _draw_metrics(left, group)
        field = next(
            (name for name in (*fields, *group.category_fields) if name in group.category_fields),
            None,
        )
        if field is None:
            right.set_axis_off()
        else:
            _draw_categories(right, group, field)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def recall_curve(overlaps: np.ndarray) -> np.ndarray:
    """R1 at each of `LEVELS`: the share of questions whose IoU reaches it, float64 [levels]."""
    return (overlaps[None, :] >= LEVELS[:, None]).mean(axis=1)


def _overlaps(entry: Entry) -> np.ndarray | None:
    """The IoU of each question, where the log has one for all."""
    found = [q.scores.get("miou", np.nan) for q in (entry.questions or {}).values()]
    values = np.array(found, dtype=np.float64)
    return values if len(values) and np.isfinite(values).all() else None


def _draw_recall(axis: Axes, group: Group) -> None:
    for number, entry in enumerate(group.entries):
        overlaps = _overlaps(entry)
        if overlaps is not None:
            colour = RUNS[number % len(RUNS)]
            axis.plot(LEVELS, recall_curve(overlaps), color=colour, label=entry.label)
    for level in (0.3, 0.5, 0.7):
        axis.axvline(level, color="#dddddd", linewidth=0.8, zorder=0)
    axis.set(xlabel="IoU at least", ylabel="share of questions", xlim=(0, 1), ylim=(0, 1))
    _finish(axis, f"{group.title}: R1 at every IoU")


def _draw_metrics(axis: Axes, group: Group) -> None:
    """Bars of all metrics of our tasks, where there is no IoU to draw a curve of."""
    names = [
        name
        for name in group.names
        if all(0.0 <= e.run.metrics.get(name, (0.0,))[0] <= 1.0 for e in group.entries)
    ]
    values = [[e.run.metrics.get(n, (0.0, None)) for n in names] for e in group.entries]
    _bars(axis, group, [HEADINGS.get(name, name) for name in names], values)
    _finish(axis, group.title)


def _draw_categories(axis: Axes, group: Group, field: str) -> None:
    found = [group.breakdown(entry, field) for entry in group.entries]
    name = next(
        (n for n in (group.main, *group.names) if all(n in m for f in found for m in f.values())),
        None,
    )
    if name is None:
        axis.set_axis_off()
        return
    categories = list(dict.fromkeys(value for means in found for value in means))
    left_out = len(categories) - MOST_CATEGORIES
    categories = categories[:MOST_CATEGORIES]
    values = [
        [
            (means[c][name], means[c][f"{name}_stderr"]) if c in means else (0.0, None)
            for c in categories
        ]
        for means in found
    ]
    counts = [max(int(m[c]["questions"]) for m in found if c in m) for c in categories]
    labels = [f"{c}\n({n})" for c, n in zip(categories, counts, strict=True)]
    _bars(axis, group, labels, values)
    more = f", {left_out} more in the tables" if left_out > 0 else ""
    _finish(axis, f"{HEADINGS.get(name, name)} by {field} (questions{more})")


def _bars(
    axis: Axes,
    group: Group,
    labels: Sequence[str],
    values: Sequence[Sequence[tuple[float, float | None]]],
) -> None:
    """Grouped bars with one standard error; `values`: [entries][labels] of (value, error)."""
    width = 0.8 / len(values)
    for number, row in enumerate(values):
        places = np.arange(len(row)) + (number - (len(values) - 1) / 2) * width
        errors = [0.0 if error is None or error != error else error for _, error in row]
        axis.bar(
            places,
            [value for value, _ in row],
            width,
            yerr=errors,
            color=RUNS[number % len(RUNS)],
            error_kw={"elinewidth": 0.8},
            label=group.entries[number].label,
        )
    slanted = {"rotation": 45, "ha": "right"} if sum(map(len, labels)) > 60 else {}
    axis.set_xticks(range(len(labels)), labels, fontsize=7, parse_math=False, **slanted)
    axis.set(ylim=(0, 1))


def _finish(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=10, loc="left", parse_math=False)
    axis.grid(axis="y", alpha=0.25)
    axis.set_axisbelow(True)
    legend = axis.legend(fontsize=7, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
