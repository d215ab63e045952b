"""Before and after on the same questions: means, difference and its 95% interval."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from temporal_plugin import metrics, spans
from temporal_plugin.spans import Span

if TYPE_CHECKING:
    from rich.table import Table

#: metric name -> what people read
TITLES = {
    "miou": "mean IoU",
    "r1@0.3": "R1 at IoU 0.3",
    "r1@0.5": "R1 at IoU 0.5",
    "r1@0.7": "R1 at IoU 0.7",
    "parse_failure": "no span in the answer",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric, means in [0, 1]; low and high bound the 95% interval of the difference."""

    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as people read it."""
        return (
            TITLES[self.metric],
            f"{self.before:.3f}",
            f"{self.after:.3f}",
            f"{self.difference:+.3f}",
            f"{self.low:+.3f} to {self.high:+.3f}",
        )


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Compares two evaluations of the same questions.

    The interval is a paired bootstrap over videos, as questions about one video are not
    independent.

    Args:
        before, after: questions as `lmms_eval_results.read_samples` returns them.

    Raises:
        ValueError: the two do not hold the same questions.
    """
    later = {row["id"]: row for row in after}
    if later.keys() != {row["id"] for row in before}:
        raise ValueError(
            f"{len(before)} questions before and {len(after)} after are not the same ones; "
            "evaluate both checkpoints on the same annotation file"
        )
    pairs = [(scores(row), scores(later[row["id"]])) for row in before]
    videos = [row["video"] for row in before]
    rows = []
    for name in TITLES:
        first, second = ([pair[k][name] for pair in pairs] for k in (0, 1))
        difference, low, high = metrics.paired_bootstrap(first, second, clusters=videos)
        means = sum(first) / len(first), sum(second) / len(second)
        rows.append(Row(name, *means, difference, low, high))
    return rows


def scores(row: Mapping[str, Any]) -> dict[str, float]:
    """Every metric of one question, from its predicted and true spans."""
    predicted = [Span(*pair) for pair in row["prediction"]]
    truth = [Span(*pair) for pair in row["truth"]]
    iou = spans.iou(predicted, truth) if predicted else 0.0
    found = {f"r1@{level}": float(iou >= level) for level in (0.3, 0.5, 0.7)}
    return {"miou": iou, **found, "parse_failure": float(row["parse_failed"])}


HEADINGS = ("unseen clips", "cold start", "GRPO", "difference", "95% interval")


def markdown(rows: Sequence[Row]) -> str:
    """The comparison as a Markdown table."""
    lines = [HEADINGS, ("---", *["---:"] * 4), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rich_table(rows: Sequence[Row]) -> Table:
    """The comparison as a table for the terminal."""
    from rich.table import Table

    table = Table()
    table.add_column(HEADINGS[0], no_wrap=True)
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row.cells)
    return table
