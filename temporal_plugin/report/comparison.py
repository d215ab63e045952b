"""Before and after on the same questions: means, difference and its 95% interval."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from temporal_plugin import metrics, spans
from temporal_plugin.report.tables import Table
from temporal_plugin.spans import Span

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
    def numbers(self) -> tuple[str, ...]:
        """Means, difference and interval as people read them."""
        return (
            f"{self.before:.3f}",
            f"{self.after:.3f}",
            f"{self.difference:+.3f}",
            f"{self.low:+.3f} to {self.high:+.3f}",
        )


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Compares two evaluations of the same questions.

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
    first = [scores(row) for row in before]
    second = [scores(later[row["id"]]) for row in before]
    return paired_rows(first, second, TITLES, clusters=[row["video"] for row in before])


def paired_rows(
    before: Sequence[Mapping[str, float]],
    after: Sequence[Mapping[str, float]],
    names: Sequence[str] | Mapping[str, str],
    clusters: Sequence[Hashable] | None,
) -> list[Row]:
    """One row per metric of `names`; `before` and `after` hold the same questions in one order.

    The interval is a paired bootstrap over `clusters` (videos), as questions about one video are
    not independent; over questions where there are none.
    """
    rows = []
    for name in names:
        first, second = ([float(item[name]) for item in items] for items in (before, after))
        difference, low, high = metrics.paired_bootstrap(first, second, clusters=clusters)
        means = sum(first) / len(first), sum(second) / len(second)
        rows.append(Row(name, *means, difference, low, high))
    return rows


def scores(row: Mapping[str, Any]) -> dict[str, float]:
    """Every metric of one question, from its predicted and true spans."""
    predicted = [Span(*pair) for pair in row["prediction"]]
    truth = [Span(*pair) for pair in row["truth"]]
    iou = spans.iou(predicted, truth) if predicted else 0.0
    found = {f"r1@{level}": float(iou >= level) for level in metrics.THRESHOLDS}
    return {"miou": iou, **found, "parse_failure": float(row["parse_failed"])}


def table(
    rows: Sequence[Row], headings: Sequence[str], titles: Mapping[str, str] = TITLES
) -> Table:
    """The comparison of two runs; `headings` of the metric, of `before` and of `after`."""
    cells = [(titles.get(row.metric, row.metric), *row.numbers) for row in rows]
    return Table((*headings, "difference", "95% interval"), cells)


def demo_table(rows: Sequence[Row]) -> Table:
    """The demo's comparison."""
    return table(rows, ("unseen clips", "cold start", "GRPO"))
