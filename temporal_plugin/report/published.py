"""Published results of the field, from `published.yaml` beside this file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("published.yaml")
SETTINGS = ("zero-shot", "fine-tuned", "unknown")


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One benchmark; a task's name that holds all words of one of `tasks` belongs to it.

    `split`: its tasks ask different questions, so that each stands alone.
    """

    name: str
    title: str
    task: str
    tasks: tuple[tuple[str, ...], ...]
    split: bool = False

    def fit(self, task: str) -> int:
        """Letters of the words that are found in the name of a task, 0 where they are not."""
        fits = [words for words in self.tasks if all(word in task.lower() for word in words)]
        return max((sum(map(len, words)) for words in fits), default=0)


@dataclasses.dataclass(frozen=True)
class Published:
    """One row of one benchmark; `metrics` are shares in [0, 1] under the names of our metrics.

    `second_hand`: not read in the authors' own paper or repository.
    """

    benchmark: str
    model: str
    setting: str
    source: str
    metrics: Mapping[str, float]
    second_hand: bool = False
    note: str = ""


def benchmark_of(task: str, metadata: Mapping[str, object] | None = None) -> Benchmark | None:
    """The benchmark of an lmms-eval task, None for an unknown one.

    `metadata` of the task's YAML may name it (`benchmark: charades_sta`), otherwise the words of
    the task's name do.
    """
    benchmarks = load()[0]
    named = (metadata or {}).get("benchmark")
    if named in benchmarks:
        return benchmarks[str(named)]
    best = max(benchmarks.values(), key=lambda benchmark: benchmark.fit(task))
    return best if best.fit(task) else None


def rows_of(benchmark: Benchmark, task: str) -> list[Published]:
    """The published rows that a task's scores may stand beside, in the order of the file.

    For a part of a split benchmark there are none.
    """
    if benchmark.split and not task.endswith(tuple("_".join(words) for words in benchmark.tasks)):
        return []
    return [row for row in load()[1] if row.benchmark == benchmark.name]


@lru_cache(maxsize=1)
def load() -> tuple[dict[str, Benchmark], list[Published]]:
    """All benchmarks by name, and all rows.

    Raises:
        KeyError, TypeError: the file does not keep the schema in its head (a test sees to it).
    """
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    benchmarks = {
        name: Benchmark(
            name,
            entry["title"],
            entry["task"],
            tuple(map(tuple, entry["tasks"])),
            entry.get("split", False),
        )
        for name, entry in content["benchmarks"].items()
    }
    rows = [
        Published(
            benchmark=benchmark,
            model=entry["model"],
            setting=entry["setting"],
            source=content["sources"][entry["source"]],
            metrics={name: percent / 100 for name, percent in metrics.items()},
            second_hand=entry.get("second_hand", False),
            note=entry.get("note", ""),
        )
        for entry in content["rows"]
        for benchmark, metrics in entry["metrics"].items()
    ]
    return benchmarks, rows
