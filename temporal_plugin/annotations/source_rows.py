"""The usable rows of one entry of a data config: read, placed, mended and counted, one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePath

from temporal_plugin.annotations import clip_policy, remote
from temporal_plugin.annotations.config_entries import OWN_FORMATS, DatasetConfig
from temporal_plugin.annotations.errors import AnnotationError, BadSpanError, shown
from temporal_plugin.annotations.load_report import LoadReport
from temporal_plugin.annotations.registry import read
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.seen_ids import SeenIds
from temporal_plugin.annotations.span_faults import mend, sample_faults

DROPPED, CHANGED, LEFT = "dropped", "changed", ""


class Ids:
    """The ids of everything loaded together, and which file each came from."""

    def __init__(self) -> None:
        self._seen = SeenIds()
        self._rows = 0
        self._starts: list[int] = []
        self._files: list[str] = []

    def open(self, file: str) -> int:
        """Announces a file; gives the number to call `taken_by` with."""
        self._starts.append(self._rows)
        self._files.append(file)
        return len(self._files) - 1

    def taken_by(self, id: str) -> str | None:
        """The file that the id has come from already; None and remembered if it is new."""
        first = self._seen.first(id, self._rows)
        if first != self._rows:
            return self._files[bisect_right(self._starts, first) - 1]
        self._rows += 1
        return None


def usable_rows(
    config: DatasetConfig, report: LoadReport, ids: Ids, *, collect_errors: bool = False
) -> Iterator[Sample]:
    """The rows that the entry's policies keep; everything else is counted in `report`.

    With `collect_errors`, malformed rows do not stop the load, whatever `on_bad_row` says.

    Raises:
        AnnotationError: a malformed row or file, or an option that the reader does not take.
    """
    name, path = str(config.json_path), config.json_path
    if remote.is_remote(path):
        path = remote.local_copy(path)

    def on_error(error: AnnotationError) -> None:
        error.where = error.where.replace(str(path), name)
        tolerated = config.on_bad_row == "drop" or isinstance(error, BadSpanError)
        if not (tolerated or collect_errors):
            raise error
        report.read += 1
        report.drop(error, tolerated=tolerated)

    try:
        rows = read(config.format, path, on_error=on_error, **config.options)
    except AnnotationError as error:  # an option that the reader does not take
        raise error.at(config.where) from None
    ids.open(name)
    try:
        for sample in rows:
            if not isinstance(sample, Sample):
                raise TypeError(
                    f"reader {config.format!r} gave a {type(sample).__name__}; "
                    "a reader yields Sample"
                )
            usable = _usable(sample, config, ids, report, on_error)
            if usable is not None:
                report.kept += 1
                yield usable
    except AnnotationError as error:  # the file as a whole
        error.where = error.where.replace(str(path), name)
        raise


def _usable(
    sample: Sample,
    config: DatasetConfig,
    ids: Ids,
    report: LoadReport,
    on_error: Callable[[AnnotationError], None],
) -> Sample | None:
    """The sample placed and mended, or None where it is dropped; either way it is counted."""
    where = f"{config.json_path}: id {shown(sample.id)}"
    try:
        placed = sample.moved(_place(sample.video, config))
        placed, reasons = _clipped(placed, config)
        taken = ids.taken_by(sample.id)
        if taken is not None:
            raise AnnotationError(
                f"the id is taken by a row of {taken}",
                field="id",
                value=sample.id,
                allowed="ids that are unique within everything loaded",
                remedy="list each file once, and give each row its own id",
            )
    except AnnotationError as error:
        on_error(error.at(where))
        return None
    report.read += 1
    faults = sample_faults(placed)
    mended = mend(placed, faults, config.on_bad_span)
    change = DROPPED if mended is None else LEFT if mended is placed else CHANGED
    reasons |= dict.fromkeys(faults, change)
    reasons |= dict.fromkeys(config.limits.reasons(placed), DROPPED)
    if reasons:
        report.note(reasons, _described(placed))
    return None if DROPPED in reasons.values() else mended


def _clipped(sample: Sample, config: DatasetConfig) -> tuple[Sample, dict[str, str]]:
    """The sample under the entry's clip policy, with what there is to report about it."""
    if sample.clip is None:
        return sample, {}
    if config.clip is None:
        if config.format in OWN_FORMATS:  # their clip is to be cut out, by definition
            return sample, {}
        raise AnnotationError(
            "a row shows a part of a video, and nothing says whether its file is cut already",
            where=config.where,
            field="clip",
            allowed=", ".join(clip_policy.POLICIES),
            remedy="`clip: precut` if the files are the parts, `clip: trim` if they are whole "
            "videos; where a file is there its real length decides",
        )
    settled, contradiction = clip_policy.settle(sample, config.clip)
    reasons = {f"clip_{config.clip}": LEFT}
    if contradiction == clip_policy.BY_FILE:
        reasons = {contradiction: CHANGED}
    elif contradiction == clip_policy.NEITHER:
        reasons[contradiction] = LEFT if config.on_bad_span == "keep" else DROPPED
    elif contradiction:
        reasons[contradiction] = LEFT
    return settled, reasons


def _described(sample: Sample) -> str:
    spans = ", ".join(f"[{span.start_seconds}, {span.end_seconds}]" for span in sample.spans[:3])
    return f"{shown(sample.id)} {spans or 'no span'} of {sample.duration or 'unknown'} s"


def _place(video: str, config: DatasetConfig) -> str:
    path = video
    if config.strip_prefix:
        path = _stripped(video, config.strip_prefix)
    if config.data_folder is not None and path.startswith("/"):
        raise AnnotationError(
            "an absolute path beside a data_folder",
            field="video",
            value=video,
            allowed="a path relative to data_folder",
            remedy=f"make it relative, or leave data_folder out (formats {', '.join(OWN_FORMATS)})",
        )
    # Sample itself refuses '..'; a link inside the folder is the owner's own choice.
    return _joined(config.data_folder or config.json_path.parent, path)


@lru_cache(maxsize=4096)  # the questions about one video stand together
def _joined(folder: Path, path: str) -> str:
    # Through Path, so that both spellings of one file, "./a/v.mp4" and "a//v.mp4", become one.
    return str(folder / path)


def _stripped(video: str, prefix: str) -> str:
    path, start = PurePath(video), PurePath(prefix)
    if not path.is_relative_to(start) or path == start:
        raise AnnotationError(
            "does not start with the entry's strip_prefix",
            field="video",
            value=video,
            allowed=f"paths below {prefix}",
            remedy="mend strip_prefix, or leave it out",
        )
    return str(path.relative_to(start))
