"""Runs of one benchmark side by side: scores, published rows, differences, breakdowns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property

from temporal_plugin import metrics
from temporal_plugin.report.comparable import differing
from temporal_plugin.report.differences import Difference, compare_entries
from temporal_plugin.report.entries import Entry
from temporal_plugin.report.published import Benchmark, Published, rows_of

#: Our metrics in the order in which they are shown, with their headings.
HEADINGS = {
    "r1@0.3": "R1@.3",
    "r1@0.5": "R1@.5",
    "r1@0.7": "R1@.7",
    "miou": "mIoU",
    "qvh_r1@0.5": "QVH R1@.5",
    "qvh_r1@0.7": "QVH R1@.7",
    "map@0.5": "mAP@.5",
    "map@0.75": "mAP@.75",
    "map": "mAP",
    "accuracy": "Acc",
    "miop": "mIoP",
    "iop@0.3": "IoP@.3",
    "iop@0.5": "IoP@.5",
    "acc@gqa": "Acc@GQA",
    "acc@iou0.5": "Acc@IoU.5",
    "temporal_precision": "T-P",
    "temporal_recall": "T-R",
    "temporal_f1": "T-F1",
    "visual_precision": "V-P",
    "visual_recall": "V-R",
    "visual_f1": "V-F1",
    "completeness": "Comp.",
    "consistency": "Cons.",
    "searched": "searched",
    "parse_failure": "unparsed",
    "refusal": "refused",
    "request_failure": "failed",
}

#: The metric that stands for a benchmark is the first of these that it has.
MAIN = ("map", "temporal_f1", "miou", "accuracy")


@dataclasses.dataclass(frozen=True)
class Group:
    """The entries of one benchmark, or of one task of an unknown one.

    Attributes:
        compare_shared: compare runs on the questions they share where the sets differ.
    """

    name: str
    entries: Sequence[Entry]
    with_published: bool = True
    compare_shared: bool = False

    @property
    def title(self) -> str:
        """The benchmark's name as people write it, or the task's."""
        if self.benchmark is None:
            return self.name
        part = f": {self.name}" if self.benchmark.split else ""
        return f"{self.benchmark.title}{part}"

    @property
    def benchmark(self) -> Benchmark | None:
        """The benchmark of all entries."""
        return self.entries[0].benchmark

    @cached_property
    def names(self) -> list[str]:
        """Every metric of any entry: ours in the order of `HEADINGS`, then others as they come."""
        found = dict.fromkeys(name for entry in self.entries for name in entry.run.metrics)
        return [name for name in HEADINGS if name in found] + [
            name for name in found if name not in HEADINGS
        ]

    @property
    def main(self) -> str:
        """The metric that stands for all."""
        return next((name for name in MAIN if name in self.names), self.names[0])

    @cached_property
    def published(self) -> list[Published]:
        """Published rows that share a metric with an entry of ours."""
        ours = {name for e in self.entries if e.run.is_ours for name in e.run.metrics}
        rows = (
            rows_of(self.benchmark, self.entries[0].base_task)
            if self.with_published and self.benchmark
            else []
        )
        return [row for row in rows if ours & row.metrics.keys()]

    @cached_property
    def differing(self) -> dict[str, list[str]]:
        """Settings in which the entries are not alike, with the value of each entry."""
        return differing(self.entries)

    @cached_property
    def differences(self) -> list[Difference]:
        """Each entry against the first one that was asked the same task or questions."""
        found = []
        for number, entry in enumerate(self.entries):
            first = next((e for e in self.entries[:number] if _are_alike(e, entry)), None)
            if first is not None:
                found.append(compare_entries(first, entry, intersection=self.compare_shared))
        return found

    @cached_property
    def category_fields(self) -> list[str]:
        """The fields by which the sample logs can be broken down."""
        found = dict.fromkeys(
            field
            for entry in self.entries
            for question in (entry.questions or {}).values()
            for field in question.category
        )
        return list(found)

    def breakdown(self, entry: Entry, field: str) -> dict[str, dict[str, float]]:
        """Means of the entry's questions by the values of a category; see `metrics.breakdown`.

        Empty where the entry has no sample log; a metric without a number for each question is
        not there.
        """
        questions = list((entry.questions or {}).values())
        if not questions:
            return {}
        keys = [
            name
            for name in self.names
            if name != "request_failure"
            and all(0.0 <= question.scores.get(name, -1.0) <= 1.0 for question in questions)
        ]
        videos = [question.video for question in questions]
        return metrics.breakdown(
            [question.scores for question in questions],
            [question.category.get(field) for question in questions],
            None if None in videos else videos,
            keys=keys,
        )


def _are_alike(one: Entry, other: Entry) -> bool:
    shared = (one.questions or {}).keys() & (other.questions or {}).keys()
    return bool(shared) or one.base_task == other.base_task


def groups_of(
    entries: Sequence[Entry], *, published: bool = True, intersection: bool = False
) -> list[Group]:
    """The entries by benchmark, in the order of their first."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.group, []).append(entry)
    return [
        Group(name, _named_apart(members), published, intersection)
        for name, members in found.items()
    ]


def _named_apart(members: Sequence[Entry]) -> list[Entry]:
    """The entries with their task in the label, where there are several tasks."""
    if len({entry.run.task for entry in members}) == 1:
        return list(members)
    return [
        dataclasses.replace(entry, label=f"{entry.label}, {entry.run.task}") for entry in members
    ]
