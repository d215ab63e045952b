"""What is wrong with a whole set of samples, or with samples beside their files.

| defect | meaning | fails the check |
|---|---|---|
| `leakage` | a video is in a training split and in a held-out one | yes |
| `clip_windows_differ` | files taken as cut stand for several windows each: all but one are wrong | yes |
| `clip_past_file_end` | a window ends past the end of its file | yes |
| `clip_uncut_by_name` | taken as cut, though other files of the source name their window in the file name, and this one does not and starts later than 0 | no |
| `span_past_file_end` | a true span ends > 0.5 s past the real end of what the model sees | no |
| `wrong_duration` | the annotated duration is not the file's (by > 1 s and > 2%) | no |
| `duplicate` | the same question about the same clip with the same spans | no |

"Fails": the exit status of `temporal-plugin data check`; with `--strict` all of them do.
"""  # noqa: E501 - a row of a table

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from temporal_plugin.annotations.clip_policy import (
    SOURCE_KEY,
    names_window,
    tolerance_seconds,
    window_of,
    without_window,
)
from temporal_plugin.annotations.errors import shown
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.span_faults import TOLERANCE_SECONDS

FAILING = frozenset({"leakage", "clip_windows_differ", "clip_past_file_end"})
_HELD_OUT = re.compile(r"test|val|dev|eval", re.IGNORECASE)
_TRAIN = re.compile(r"train", re.IGNORECASE)
_YOUTUBE_ID = 11
_NUMBERED = re.compile(r"[a-z]{0,8}[_-]?\d{1,6}", re.IGNORECASE)
"""A name that any two datasets may share by chance, as `video_0012` or `42`."""


@dataclass
class Defect:
    """One kind of defect: how many rows have it, and what they are (one text a row or group)."""

    kind: str
    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str, rows: int = 1) -> None:
        """Counts `rows` more rows."""
        self.rows += rows
        self.examples.append(example)


def find_defects(
    samples: Sequence[Sample], file_seconds: Mapping[str, float] | None = None
) -> list[Defect]:
    """The defects that there are, those that fail a check first.

    Args:
        samples: everything that is loaded together.
        file_seconds: real length of each sound video file, as far as known.
    """
    found = [
        leakage(samples),
        windows_differ(samples),
        *(_of_each(kind, rule, samples, file_seconds or {}) for kind, rule in _RULES.items()),
        uncut_by_name(samples),
        duplicates(samples),
    ]
    found = [defect for defect in found if defect.rows]
    return sorted(found, key=lambda defect: defect.kind not in FAILING)


def video_identity(path: str) -> str:
    """What two names of one video have in common.

    The file's name without folder, extension, the window it may be cut to and the `v_` that
    ActivityNet puts before the 11 characters of a YouTube id.
    """
    stem = without_window(PurePath(path).stem)
    if stem.startswith("v_") and len(stem) == _YOUTUBE_ID + 2:
        return stem[2:]
    return stem


def leakage(samples: Iterable[Sample]) -> Defect:
    """Videos in training splits and in held-out ones (test, val, dev, eval).

    Videos are told by their names (`video_identity`); those that are mere numbers by the whole
    path, or by the name within one source. Counts the training rows.
    """
    paths = Counter((sample.video, sample.source, sample.split) for sample in samples)
    by_video: dict[tuple[str, ...], Counter[tuple[str, str]]] = defaultdict(Counter)
    for (path, source, split), count in paths.items():
        name = video_identity(path)
        numbered = _NUMBERED.fullmatch(name)
        for key in ((name, source), (name, "", path)) if numbered else ((name,),):
            by_video[key][source, split] += count
    found: dict[str, int] = {}
    for (name, *_), counts in by_video.items():
        train = [place for place in counts if _TRAIN.search(place[1])]
        held = [place for place in counts if place not in train and _HELD_OUT.search(place[1])]
        if train and held:
            told = ", ".join(f"{' '.join(p).strip()} ({counts[p]} rows)" for p in (*train, *held))
            found[f"video {shown(name)} in {told}"] = sum(counts[place] for place in train)
    return Defect("leakage", sum(found.values()), list(found))


def windows_differ(samples: Sequence[Sample]) -> Defect:
    """Files taken as cut that stand for several windows; counts the rows that must be wrong.

    A row that names no window of such a file takes it for the whole video, from 0 on.
    """
    cut = {sample.video for sample in samples if SOURCE_KEY in sample.extra}
    windows: dict[str, Counter[tuple[float, float]]] = defaultdict(Counter)
    for sample in samples:
        if SOURCE_KEY in sample.extra:
            windows[sample.video][tuple(sample.extra[SOURCE_KEY])] += 1
        elif sample.video in cut and sample.clip is None and sample.duration is not None:
            windows[sample.video][0.0, sample.duration] += 1
    found = Defect("clip_windows_differ")
    for path, counts in windows.items():
        if len(counts) > 1:
            told = ", ".join(f"[{start}, {end}]" for start, end in sorted(counts)[:3])
            wrong = sum(counts.values()) - max(counts.values())
            found.add(f"{path} as {len(counts)} windows: {told}", wrong)
    return found


def uncut_by_name(samples: Iterable[Sample]) -> Defect:
    """Rows taken as cut whose file name does not name the window, beside others that do."""
    unnamed: dict[str, list[Sample]] = defaultdict(list)
    naming: set[str] = set()
    for sample in samples:
        if SOURCE_KEY in sample.extra:
            if names_window(sample):
                naming.add(sample.source)
            elif window_of(sample).start_seconds > 0:
                unnamed[sample.source].append(sample)
    found = Defect("clip_uncut_by_name")
    for source in naming:
        for sample in unnamed[source]:
            found.add(f"{_row(sample)} window {sample.extra[SOURCE_KEY]}")
    return found


def duplicates(samples: Iterable[Sample]) -> Defect:
    """Rows that ask what an earlier row asks already, with the same truth."""
    first: dict[tuple, str] = {}
    found = Defect("duplicate")
    for sample in samples:
        words = " ".join(sample.query.lower().split()).rstrip(" .?!")
        asked = (sample.video, sample.clip, words, sample.spans, sample.options, sample.answer)
        earlier = first.setdefault(asked, sample.id)
        if earlier != sample.id:
            found.add(f"{_row(sample)} repeats {shown(earlier)}")
    return found


def _clip_past_file_end(sample: Sample, real: float) -> str | None:
    if sample.clip is None or sample.clip.end_seconds <= real + tolerance_seconds(real):
        return None
    return f"clip ends at {sample.clip.end_seconds:g} s of {real:.2f} s"


def _span_past_file_end(sample: Sample, real: float) -> str | None:
    seen = real if sample.clip is None else min(real, sample.clip.end_seconds)
    seen -= 0.0 if sample.clip is None else sample.clip.start_seconds
    last = max((span.end_seconds for span in sample.spans), default=0.0)
    return f"span to {last:g} s of {seen:.2f} s" if last > seen + TOLERANCE_SECONDS else None


def _wrong_duration(sample: Sample, real: float) -> str | None:
    if sample.duration is None:
        return None
    seen = real
    if sample.clip is not None:
        seen = sample.clip.end_seconds - sample.clip.start_seconds
    if abs(sample.duration - seen) <= tolerance_seconds(seen):
        return None
    return f"annotated {sample.duration:g} s, is {seen:.2f} s"


_RULES: dict[str, Callable[[Sample, float], str | None]] = {
    "clip_past_file_end": _clip_past_file_end,
    "span_past_file_end": _span_past_file_end,
    "wrong_duration": _wrong_duration,
}


def _of_each(
    kind: str,
    rule: Callable[[Sample, float], str | None],
    samples: Iterable[Sample],
    file_seconds: Mapping[str, float],
) -> Defect:
    found = Defect(kind)
    for sample in samples:
        real = file_seconds.get(sample.video)
        problem = None if real is None else rule(sample, real)
        if problem is not None:
            found.add(f"{_row(sample)} {problem}")
    return found


def _row(sample: Sample) -> str:
    return shown(sample.id)
