"""From a task's `dataset_kwargs` to samples with absolute video paths, below one data root."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from temporal_plugin import annotations
from temporal_plugin.annotations import clip_policy
from temporal_plugin.annotations.config_entries import OWN_FORMATS
from temporal_plugin.annotations.errors import AnnotationError, BadSpanError, NoLabelError
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_hub as hub
from temporal_plugin.integrations import lmms_eval_subtitles as subtitles
from temporal_plugin.resources import DATA_SETTING, data_root, located

logger = logging.getLogger(__name__)

BAD_VIDEO_SETTING = "TEMPORAL_PLUGIN_ON_BAD_VIDEO"
"""Environment variable that overrules a task's `on_bad_video`."""

ON_BAD_VIDEO = ("error", "count_as_failure")
ON_OTHER_TASK = ("error", "leave_out")
DATA_CONFIG = "data_config"
"""As `format`: the annotation file is what training takes, a data config or Samples."""


@dataclass(frozen=True)
class Source:
    """Where a task's questions come from: the `dataset_kwargs` of its YAML.

    Attributes:
        format: a name in `annotations.READERS`, or `module:function`.
        annotations: the annotation file; of several, the first that exists. Relative paths are
            below the data root (`DATA_SETTING`). `$NAME` is the path that this environment
            variable holds.
        videos: the folder that the annotated video paths are relative to; by default that of
            the annotation file.
        data_root: the folder that relative paths start from, in place of `DATA_SETTING`.
        prompt: name or path of a prompt, as in `prompts.load`.
        clip: where rows show a part of a video, whether their files are cut already ("precut") or
            whole ("trim"), see `annotations.clip_policy`; of a file that is there, its length
            decides.
        on_bad_video: "error" stops before the first answer, with a list of all bad videos;
            "count_as_failure" scores their questions 0 and counts them in `request_failure`.
        on_other_task: "error" stops where a row is no question of the task's kind; "leave_out"
            counts and names such rows and asks the others.
        reader: further options of the reader, such as `video_extension`.
        keep: field of `extra` -> the values of the rows that are asked; others are left out.
        categories: category -> field of `extra` by which the scores are also given.
        subtitles: the folder with `<name of the video file>.srt`, shown before the question where
            there is one.
        hub: dataset repository on the hub, downloaded into the first folder of `annotations`
            where TEMPORAL_PLUGIN_DOWNLOAD is 1, and only then.

    Raises:
        ValueError: a value outside of what is allowed.
    """

    format: str
    annotations: str | Sequence[str]
    videos: str | None = None
    data_root: str | None = None
    prompt: str = "answer"
    clip: str | None = None
    on_bad_video: str = "error"
    on_other_task: str = "error"
    reader: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)
    subtitles: str | None = None
    hub: str | None = None

    def __post_init__(self) -> None:
        if self.clip not in (None, *clip_policy.POLICIES):
            raise ValueError(
                f"clip is {self.clip!r}; allowed: {', '.join(clip_policy.POLICIES)} or null"
            )
        if self.on_bad_video not in ON_BAD_VIDEO:
            raise ValueError(
                f"on_bad_video (or {BAD_VIDEO_SETTING}) is {self.on_bad_video!r}; "
                f"allowed: {', '.join(ON_BAD_VIDEO)}"
            )
        if self.on_other_task not in ON_OTHER_TASK:
            raise ValueError(
                f"on_other_task is {self.on_other_task!r}; allowed: {', '.join(ON_OTHER_TASK)}"
            )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], *, task: str) -> Source:
        """From YAML and environment.

        Raises:
            ValueError: an unknown or missing key, or a value outside of what is allowed.
        """
        settings = dict(settings or {})
        allowed = [item.name for item in fields(cls)]
        unknown = sorted(set(settings) - set(allowed))
        missing = sorted({"format", "annotations"} - set(settings))
        if unknown or missing:
            raise ValueError(
                f"task {task}: dataset_kwargs has unknown keys {unknown} and lacks {missing}; "
                f"allowed: {', '.join(allowed)}"
            )
        settings["annotations"] = _from_environment(settings["annotations"], task)
        if os.environ.get(BAD_VIDEO_SETTING):
            settings["on_bad_video"] = os.environ[BAD_VIDEO_SETTING]
        return cls(**settings)

    @property
    def root(self) -> Path:
        """The folder that relative paths start from, absolute."""
        return data_root() if self.data_root is None else Path(self.data_root).absolute()

    @property
    def _names(self) -> Sequence[str]:
        return [self.annotations] if isinstance(self.annotations, str) else self.annotations

    def download(self) -> None:
        """What the hub has of this benchmark, where the user asks for it; else nothing.

        Raises:
            OSError: the hub cannot be reached.
            ValueError: an archive is damaged.
        """
        if self.hub is not None and hub.is_asked_for():
            hub.fetch(self.hub, self.root / Path(self._names[0]).parts[0])

    def annotation_file(self) -> Path:
        """The first annotation file that exists.

        Raises:
            FileNotFoundError: none does; the message names the places and the setting.
        """
        paths = [self.root / name for name in self._names]
        for path in paths:
            if path.is_file():
                return path
        raise FileNotFoundError(
            f"no annotation file at {' or '.join(map(str, paths))}: put it there, or set "
            f"{DATA_SETTING} to the folder that holds your datasets (now {self.root})"
            + (f", or {hub.DOWNLOAD_SETTING}=1 to download {self.hub}" if self.hub else "")
        )

    def video_folder(self) -> Path:
        """The folder of the videos, which need not exist."""
        if self.videos is None:
            return self.annotation_file().parent
        return self.root / self.videos

    def read(self) -> list[tuple[str, Sample]]:
        """Each sample with the video's name in the dataset; its `video` is absolute.

        Rows without published truth and rows whose true spans are impossible are left out, and
        counted in the log.

        Raises:
            AnnotationError: a malformed row.
            FileNotFoundError: no annotation file, or none of something that it needs beside it.
            ValueError: no question at all, or a row with a clip and no policy.
        """
        path, folder = self.annotation_file(), self.video_folder()
        if self.format == DATA_CONFIG:
            return [(sample.video, sample) for sample in annotations.load_samples(path)]
        left_out, clips = _LeftOut(path), Counter()
        rows = annotations.read(self.format, path, on_error=left_out, **self.reader)
        samples = [
            (row.video, self._completed(replace(row, video=str(folder / row.video)), clips))
            for row in rows
            if all(row.extra.get(name) in values for name, values in self.keep.items())
        ]
        left_out.report()
        for what, number in clips.items():
            logger.warning("%s: %s (clip: %s) in %d rows", path, what, self.clip, number)
        if not samples:
            raise ValueError(f"{path} holds no question that can be asked")
        return samples

    def _completed(self, sample: Sample, clips: Counter[str]) -> Sample:
        """The sample under the clip policy, with its subtitles; contradictions are counted."""
        sample = self._clipped(sample, clips)
        if self.subtitles is None:
            return sample
        file = (self.root / self.subtitles / Path(sample.video).stem).with_suffix(".srt")
        if not file.is_file():
            return sample
        return replace(sample, extra={**sample.extra, subtitles.KEY: subtitles.read(file)})

    def _clipped(self, sample: Sample, clips: Counter[str]) -> Sample:
        """The sample under the clip policy; our own formats' clips are to be cut by definition."""
        if sample.clip is None or (self.clip is None and self.format in OWN_FORMATS):
            return sample
        if self.clip is None:
            raise ValueError(
                f"{sample.id} shows a part of a video, and nothing says whether its file is cut "
                f"already: set dataset_kwargs.clip to one of {', '.join(clip_policy.POLICIES)}"
            )
        settled, contradiction = clip_policy.settle(sample, self.clip)
        if contradiction is not None:
            clips[contradiction] += 1
        return settled


class _LeftOut:
    """A reader's `on_error` that counts rows that cannot be asked; others stop the run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, list[str]] = {}

    def __call__(self, error: AnnotationError) -> None:
        if not isinstance(error, (BadSpanError, NoLabelError)):
            raise error
        self.rows.setdefault(" and ".join(error.reasons) or "bad span", []).append(str(error))

    def report(self) -> None:
        """Log how many rows were left out, and the first of each reason."""
        for reason, found in self.rows.items():
            logger.warning(
                "%s: %d rows left out (%s), first: %s", self.path, len(found), reason, found[0]
            )


def _from_environment(names: Any, task: str) -> Any:
    """The annotation file, where `$NAME` names an environment variable that holds its path."""
    if not isinstance(names, str) or not names.startswith("$"):
        return names
    path = os.environ.get(names[1:])
    if not path:
        raise ValueError(
            f"task {task}: set the environment variable {names[1:]} to a data config (.yaml) or "
            "samples (.jsonl)"
        )
    return str(located(path).absolute())  # of the folder in which the command is given
