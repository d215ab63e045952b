"""From a data config, or a Sample JSONL, to the samples: selected, mixed and counted."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from temporal_plugin.annotations.config_entries import DatasetConfig, read_data_config
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.load_report import LoadReport
from temporal_plugin.annotations.mixing import mix
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.sampling_strategy import chosen
from temporal_plugin.annotations.source_rows import Ids, usable_rows
from temporal_plugin.resources import located


@dataclass
class Loaded:
    """The samples, in the config's order or mixed, and one report per annotation file."""

    samples: list[Sample] = field(default_factory=list)
    reports: list[LoadReport] = field(default_factory=list)


def load_samples(path: str | Path) -> list[Sample]:
    """The samples of a Sample JSONL or of a data config YAML, their videos absolute paths.

    What was dropped or changed is logged (`load` returns it instead).

    Raises:
        AnnotationError: a malformed config or row, a missing file, an id given twice, or an
            option that the reader does not take.
    """
    loaded = load(path)
    for report in loaded.reports:
        report.log()
    return loaded.samples


def load(path: str | Path, *, collect_errors: bool = False) -> Loaded:
    """As `load_samples`, with the reports for the caller to show instead of a log.

    With `collect_errors`, malformed rows do not stop the load: they are dropped and listed
    in `LoadReport.errors`, whatever `on_bad_row` says.
    """
    configs, ids = entries(Path(path)), Ids()
    reports = [_report(config) for config in configs]
    sources = [
        list(usable_rows(config, report, ids, collect_errors=collect_errors))
        for config, report in zip(configs, reports, strict=True)
    ]
    counts = [len(rows) for rows in sources]
    order = _Order(configs, counts, skip_empty=collect_errors)
    for report, count in zip(reports, order.selected(), strict=True):
        report.selected = count
    return Loaded([sources[number][row] for number, row in order], reports)


def stream(path: str | Path) -> Iterator[Sample]:
    """The samples of `load_samples` in the same order, without holding them.

    Files are read a second time where a weight, a percentage or a random choice needs the number
    of rows first. Of a sample only the hash of its id is held (25 bytes) and, where rows are
    chosen at random, its number (8 bytes). What was dropped or changed is logged at the end.

    Raises:
        AnnotationError: as `load_samples`, once the row is reached; a file that changed meanwhile.
    """
    configs = entries(Path(path))
    counts = _counts(configs) if any(_needs_count(config) for config in configs) else None
    reports, ids = [_report(config) for config in configs], Ids()
    if counts is None:  # rows from the first on, source by source
        for config, report in zip(configs, reports, strict=True):
            kind, _, limit = config.sampling_strategy.partition(":")
            for sample in usable_rows(config, report, ids):
                if kind == "all" or report.selected < int(limit):
                    report.selected += 1
                    yield sample
    else:
        sources = [
            enumerate(usable_rows(config, report, ids))
            for config, report in zip(configs, reports, strict=True)
        ]
        for number, row in _Order(configs, counts):
            reports[number].selected += 1
            found = (sample for index, sample in sources[number] if index == row)
            sample = next(found, None)
            if sample is None:
                raise AnnotationError(
                    "the file has fewer rows than a moment ago",
                    where=str(configs[number].json_path),
                    remedy="leave it alone while it is read",
                )
            yield sample
        for source in sources:  # the rows after the last chosen one are checked and counted too
            for _ in source:
                pass
    for report in reports:
        report.log()


def entries(path: Path) -> list[DatasetConfig]:
    """The entries of a data config; a file of Samples is a config of that one file.

    Args:
        path: of the file; `recipe:<folder>/<file>` is one that our recipes bring along.

    Raises:
        AnnotationError: neither of the two, or malformed.
        FileNotFoundError: our recipes hold no such file.
    """
    path = located(path)
    if path.suffix in (".yaml", ".yml"):
        return read_data_config(path)
    if path.suffix in (".jsonl", ".parquet"):
        format = path.suffix.removeprefix(".")
        return [DatasetConfig(where=str(path), json_path=path.resolve(), format=format)]
    raise AnnotationError(
        "neither a data config nor samples",
        where=str(path),
        value=path.suffix,
        allowed=".yaml or .yml (data config), .jsonl or .parquet (samples)",
        remedy="name an annotation file of another format in a data config",
    )


class _Order:
    """Which row of which source comes next: (source, row), rows ascending within a source."""

    def __init__(
        self,
        configs: Sequence[DatasetConfig],
        counts: Sequence[int],
        *,
        skip_empty: bool = False,
    ) -> None:
        self._rows = [
            chosen(count, config.sampling_strategy, seed=config.seed)
            for config, count in zip(configs, counts, strict=True)
        ]
        self._weights = None
        if any(config.weight is not None for config in configs):
            self._weights = [1.0 if c.weight is None else c.weight for c in configs]
            if not skip_empty:
                _refuse_empty(configs, self._rows)
            # What the mix has no room for is left out at random, not at the end of the file.
            taken = Counter(self._numbers())
            self._rows = [
                _some(rows, taken[number], config.seed)
                for number, (config, rows) in enumerate(zip(configs, self._rows, strict=True))
            ]

    def selected(self) -> list[int]:
        """The number of rows of each source."""
        return [len(rows) for rows in self._rows]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        sources = [iter(rows) for rows in self._rows]
        for number in self._numbers():
            yield number, next(sources[number])

    def _numbers(self) -> Iterator[int]:
        if self._weights is None:
            for number, rows in enumerate(self._rows):
                for _ in rows:
                    yield number
        else:
            filled = [number for number, rows in enumerate(self._rows) if rows]
            counts = [len(self._rows[number]) for number in filled]
            for place in mix(counts, [self._weights[number] for number in filled]):
                yield filled[place]


def _some(rows: Sequence[int], count: int, seed: int) -> Sequence[int]:
    if count in (0, len(rows)):
        return rows[:count]
    return array("Q", (rows[k] for k in chosen(len(rows), f"random:{count}", seed=seed)))


def _refuse_empty(configs: Sequence[DatasetConfig], rows: Sequence[Sequence[int]]) -> None:
    """A mix cannot give an empty source its share, and would end before it began."""
    for config, found in zip(configs, rows, strict=True):
        if not found:
            raise AnnotationError(
                f"no row of {config.json_path} is left to mix",
                where=config.where,
                field="weight",
                value=config.weight,
                remedy="see `temporal-plugin data check` for what was dropped, or take it out",
            )


def _needs_count(config: DatasetConfig) -> bool:
    kind, _, number = config.sampling_strategy.partition(":")
    return config.weight is not None or not (kind in ("all", "first") and "%" not in number)


def _counts(configs: Sequence[DatasetConfig]) -> list[int]:
    ids = Ids()
    return [sum(1 for _ in usable_rows(config, _report(config), ids)) for config in configs]


def _report(config: DatasetConfig) -> LoadReport:
    policy = {
        "on_bad_span": config.on_bad_span,
        "clip": config.clip,
        "sampling_strategy": config.sampling_strategy,
        "seed": config.seed,
        "weight": config.weight,
        **asdict(config.limits),
    }
    return LoadReport(path=str(config.json_path), policy=policy)
