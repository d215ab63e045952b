"""The outcome of `temporal-plugin data check` as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from temporal_plugin.annotations.data_check import DataCheck
    from temporal_plugin.annotations.histograms import Histogram

BARS = "▁▂▃▄▅▆▇█"
COLUMNS = ("read", "dropped", "changed", "kept", "selected")
TITLES = {
    "video_seconds": "video length (s)",
    "span_seconds": "span length (s)",
    "span_share": "span / video",
}


def print_check(console: Console, found: DataCheck, max_listed: int = 20) -> None:
    """Tables of counts, histograms and the lists of all defects."""
    _print_counts(console, found)

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for source in found.sources:
        line(f"\n{source.source or '-'} {source.split}".rstrip())
        for name, title in TITLES.items():
            line(f"  {histogram_line(title, source.histograms[name])}")
    for report in found.reports:
        line(f"\n{report.path}")
        policy = ", ".join(f"{k}: {v}" for k, v in report.policy.items() if v is not None)
        line(f"  policy {policy}")
        for text, _ in report.lines():
            line(f"  {text}")
        _list(line, "malformed rows", [str(error) for error in report.errors], max_listed)
    problems = found.video_problems
    line(f"\n{found.samples} samples, {found.videos} videos, {len(problems)} video problems")
    texts = [f"{p.path}: {p.reason} ({p.samples} samples); {p.remedy}" for p in problems]
    _list(line, "missing or unreadable videos", texts, max_listed)
    for defect in found.defects:
        _list(line, f"rows: {defect.kind}", defect.examples, max_listed, rows=defect.rows)
    if found.unsplit:
        line(f"{found.unsplit} samples have no split, so that leakage cannot be seen among them")
    if not found.samples:
        line("error: no sample is left to load")
    if found.failures:
        line(f"failed: {', '.join(found.failures)}")


def histogram_line(title: str, found: Histogram) -> str:
    """A histogram in one line: a bar a bin, its edges, and the least, middle and greatest value."""
    if found.middle is None:
        return f"{title:<17} unknown"
    most = max(found.counts)
    bars = "".join(BARS[-(-count * 8 // most) - 1] if count else " " for count in found.counts)
    edges = " ".join(f"{edge:g}" for edge in found.edges)
    return (
        f"{title:<17} |{bars}| edges {edges}; "
        f"min {found.low:.4g}, median {found.middle:.4g}, max {found.high:.4g}"
    )


def _print_counts(console: Console, found: DataCheck) -> None:
    from rich.table import Table

    table = Table("rows of", *COLUMNS, box=None, pad_edge=False)
    for report in found.reports:
        counts = (str(getattr(report, name)) for name in COLUMNS)
        table.add_row(PurePath(report.path).name, *counts)
    console.print(table)
    table = Table("source", "split", "samples", "videos", box=None, pad_edge=False)
    for item in found.sources:
        values = (item.source, item.split, item.samples, item.videos)
        table.add_row(*(str(value) or "-" for value in values))
    console.print()
    console.print(table)


def _list(
    line: Callable[[str], None],
    title: str,
    texts: list[str],
    max_listed: int,
    *,
    rows: int | None = None,
) -> None:
    if not texts:
        return
    line(f"  {len(texts) if rows is None else rows} {title}:")
    for text in texts[:max_listed]:
        line(f"    {text}")
    if len(texts) > max_listed:
        line(f"    and {len(texts) - max_listed} more (--max-listed)")
