"""Everything that can be known about data before a model loads: what `data check` reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_plugin.annotations.check import VideoProblem, problems_of, survey
from temporal_plugin.annotations.data_config import load
from temporal_plugin.annotations.defects import FAILING, Defect, find_defects
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.histograms import Histogram, histograms
from temporal_plugin.annotations.load_report import LoadReport
from temporal_plugin.annotations.sample import Sample

if TYPE_CHECKING:
    from rich.console import Console

MALFORMED, VIDEOS, EMPTY = "malformed_row", "video", "nothing_left"


@dataclass
class Source:
    """The samples of one source and split that are left to use."""

    source: str
    split: str
    samples: int
    videos: int
    histograms: dict[str, Histogram]


@dataclass
class DataCheck:
    """The outcome. `failures` names what makes the check fail, and is empty if it passes."""

    reports: list[LoadReport] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    video_problems: list[VideoProblem] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    samples: int = 0
    videos: int = 0
    unsplit: int = 0
    """Samples without a split: they take no part in the search for leakage."""

    @property
    def errors(self) -> list[AnnotationError]:
        """The malformed rows of all files."""
        return [error for report in self.reports for error in report.errors]

    def to_dict(self, *, max_listed: int = 20) -> dict[str, Any]:
        """The JSON form, with at most `max_listed` examples of a kind."""
        files = [report.to_dict() for report in self.reports]
        for file in files:
            file["error_count"] = len(file["errors"])
            file["errors"] = file["errors"][:max_listed]
        defects = [{**asdict(d), "examples": d.examples[:max_listed]} for d in self.defects]
        sources = [asdict(item) for item in self.sources]
        names = [{k: row[k] for k in ("source", "split", "samples", "videos")} for row in sources]
        return {
            "ok": not self.failures,
            "failures": self.failures,
            "samples": self.samples,
            "videos": self.videos,
            "samples_without_split": self.unsplit,
            "sources": names,
            "histograms": [
                {
                    "source": item.source,
                    "split": item.split,
                    **{name: found.to_dict() for name, found in item.histograms.items()},
                }
                for item in self.sources
            ],
            "files": files,
            "defects": defects,
            "video_problem_count": len(self.video_problems),
            "video_problems": [asdict(item) for item in self.video_problems[:max_listed]],
        }


def check_data(
    paths: Sequence[str | Path],
    *,
    videos: bool = True,
    strict: bool = False,
    allowed: Collection[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
    console: Console | None = None,
    workers: int | None = None,
) -> DataCheck:
    """Loads every row of the data configs (or Sample JSONL files) and looks for defects.

    Args:
        paths: checked together, so that a training and a test config show what they share.
        videos: open every video file, and compare its real length.
        strict: every defect fails, and so does a row that was dropped or changed.
        allowed: kinds of defects that do not fail whatever they are.
        on_progress, console, workers: as `check.check_videos`.

    Raises:
        AnnotationError: a config, or a file as a whole, cannot be read.
        ImportError: PyAV is not installed (only with `videos`).
    """
    loads = [load(path, collect_errors=True) for path in paths]
    samples = [sample for loaded in loads for sample in loaded.samples]
    found = DataCheck(
        reports=[report for loaded in loads for report in loaded.reports],
        sources=_sources(samples),
        samples=len(samples),
        unsplit=sum(not sample.split for sample in samples),
    )
    uses = Counter(sample.video for sample in samples)
    found.videos = len(uses)
    seconds: dict[str, float] = {}
    if videos:
        surveyed = survey(
            uses, lengths=True, on_progress=on_progress, console=console, workers=workers
        )
        found.video_problems = problems_of(uses, surveyed)
        seconds = {p: s.seconds for p, s in surveyed.items() if s.seconds is not None}
    found.defects = find_defects(samples, seconds)
    found.failures = _failures(found, strict, allowed)
    return found


def _sources(samples: Sequence[Sample]) -> list[Source]:
    rows: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        rows.setdefault((sample.source, sample.split), []).append(sample)
    return [
        Source(source, split, len(of), len({s.video for s in of}), histograms(of))
        for (source, split), of in rows.items()
    ]


def _failures(found: DataCheck, strict: bool, allowed: Collection[str]) -> list[str]:
    names = [EMPTY] if not found.samples else []
    names += [MALFORMED] if found.errors else []
    names += [VIDEOS] if found.video_problems else []
    names += [defect.kind for defect in found.defects if strict or defect.kind in FAILING]
    if strict:
        touched = (
            reason
            for report in found.reports
            for reason, finding in report.findings.items()
            if finding.dropped or finding.changed
        )
        names += sorted(set(touched) - {MALFORMED})
    return [name for name in dict.fromkeys(names) if name not in allowed]
