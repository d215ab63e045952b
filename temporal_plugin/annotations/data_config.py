"""From a data config, or a Sample JSONL, to the samples: placed, mended, selected, counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from temporal_plugin.annotations.config_entries import DatasetConfig, read_data_config
from temporal_plugin.annotations.errors import AnnotationError, BadSpanError, shown
from temporal_plugin.annotations.load_report import LoadReport
from temporal_plugin.annotations.registry import read
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.sampling_strategy import select
from temporal_plugin.annotations.span_faults import mend, sample_faults


@dataclass
class Loaded:
    """The samples, in the config's order, and one report per annotation file."""

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
    loaded = Loaded()
    place_of: dict[str, str] = {}
    for config in _configs(Path(path)):
        samples, report = _load_one(config, place_of, collect_errors)
        loaded.samples += samples
        loaded.reports.append(report)
    return loaded


def _configs(path: Path) -> list[DatasetConfig]:
    if path.suffix in (".yaml", ".yml"):
        return read_data_config(path)
    if path.suffix == ".jsonl":
        return [DatasetConfig(where=str(path), json_path=path.resolve(), format="jsonl")]
    raise AnnotationError(
        "neither a data config nor samples",
        where=str(path),
        value=path.suffix,
        allowed=".yaml or .yml (data config), .jsonl (samples)",
        remedy="name an annotation file of another format in a data config",
    )


def _load_one(
    config: DatasetConfig, place_of: dict[str, str], collect_errors: bool
) -> tuple[list[Sample], LoadReport]:
    report = LoadReport(path=str(config.json_path))

    def on_error(error: AnnotationError) -> None:
        tolerated = config.on_bad_row == "drop" or isinstance(error, BadSpanError)
        if not (tolerated or collect_errors):
            raise error
        report.read += 1
        report.drop(error, tolerated=tolerated)

    try:
        rows = read(config.format, config.json_path, on_error=on_error, **config.options)
    except AnnotationError as error:  # an option that the reader does not take
        raise error.at(config.where) from None
    kept = []
    for sample in rows:
        if not isinstance(sample, Sample):
            raise TypeError(
                f"reader {config.format!r} gave a {type(sample).__name__}; a reader yields Sample"
            )
        usable = _usable(sample, config, place_of, report, on_error)
        if usable is not None:
            kept.append(usable)
    report.kept = len(kept)
    selected = select(kept, config.sampling_strategy, seed=config.seed)
    report.selected = len(selected)
    return selected, report


def _usable(
    sample: Sample,
    config: DatasetConfig,
    place_of: dict[str, str],
    report: LoadReport,
    on_error: Callable[[AnnotationError], None],
) -> Sample | None:
    """The sample placed and mended, or None where it is dropped; either way it is counted."""
    where = f"{config.json_path}: id {shown(sample.id)}"
    try:
        placed = replace(sample, video=_place(sample.video, config))
        if sample.id in place_of:
            raise AnnotationError(
                f"the id is taken by a row of {place_of[sample.id]}",
                field="id",
                value=sample.id,
                allowed="ids that are unique within everything loaded",
                remedy="list each file once, and give each row its own id",
            )
    except AnnotationError as error:
        on_error(error.at(where))
        return None
    place_of[sample.id] = str(config.json_path)
    report.read += 1
    faults = sample_faults(placed)
    mended = mend(placed, faults, config.on_bad_span)
    if faults:
        change = "dropped" if mended is None else "" if mended is placed else "changed"
        report.note(faults, _described(placed), change=change)
    return mended


def _described(sample: Sample) -> str:
    spans = ", ".join(f"[{span.start_seconds}, {span.end_seconds}]" for span in sample.spans[:3])
    return f"{shown(sample.id)} {spans or 'no span'} of {sample.duration or 'unknown'} s"


def _place(video: str, config: DatasetConfig) -> str:
    path = Path(video)
    if path.is_absolute() and config.data_folder is not None:
        raise AnnotationError(
            "an absolute path beside a data_folder",
            field="video",
            value=video,
            allowed="a path relative to data_folder",
            remedy="make it relative, or leave data_folder out (jsonl format only)",
        )
    # Sample itself refuses '..'; a link inside the folder is the owner's own choice.
    return str((config.data_folder or config.json_path.parent) / path)
