"""The lmms-eval task class: our samples as its documents, checked before the model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
from lmms_eval.api.task import ConfigurableMessagesTask, ConfigurableTask
from lmms_eval.utils import create_iterator, load_yaml_config, simple_parse_args_string
from loguru import logger

from temporal_plugin import prompts
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import lmms_eval_time_loss as time_loss
from temporal_plugin.integrations.lmms_eval_docs import to_doc, to_sample
from temporal_plugin.integrations.lmms_eval_source import (
    BAD_VIDEO_SETTING,
    DATA_SETTING,
    Source,
    data_root,
)
from temporal_plugin.resources import resource_dir

DEFAULTS = "_grounding.yaml.inc"
LISTED = 10


class GroundingTask(ConfigurableMessagesTask):
    """A grounding task whose YAML names it under `class`; the defaults are in `DEFAULTS`.

    It is one of lmms-eval's "python tasks", the documented way for a task to bring its own
    documents; nothing is downloaded. Any key of a task's YAML overrules the defaults, and
    `dataset_kwargs` holds the fields of `Source`.

    Raises:
        FileNotFoundError, ValueError, AnnotationError: as `Source.read`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        config = with_defaults(config)
        self.source = source_of(config)
        super().__init__(config=config)

    def download(self, dataset_kwargs: dict[str, Any] | None = None) -> None:
        """Read the annotation file; lmms-eval's own method would ask the hub."""
        docs = [to_doc(sample, name, self.source.prompt) for name, sample in self.source.read()]
        logger.info(
            f"{self.config.task}: {len(docs)} questions from {self.source.annotation_file()}, "
            f"videos in {self.source.video_folder()}"
        )
        self.dataset = datasets.DatasetDict(
            {self.config.test_split: datasets.Dataset.from_list(docs)}
        )
        self.dataset_no_image = self.dataset

    def build_all_requests(self, *, limit=None, offset: int = 0, **options: Any) -> None:
        """Check the videos of all questions that will be asked, then build the requests.

        Raises:
            ValueError: there are missing or unreadable videos (`on_bad_video: error`).
        """
        limit = int(limit) if limit else None
        docs = create_iterator(self.eval_docs, 0, 1, limit=limit, offset=offset)
        samples = [to_sample(doc) for doc in docs]
        check_videos(samples, self.source.on_bad_video)
        time_loss.warn_once(
            getattr(self, "args", None), clips=any(sample.clip for sample in samples)
        )
        checkpoint = checkpoint_of(getattr(self, "args", None))
        if checkpoint is not None:
            prompts.warn_on_mismatch(checkpoint, prompts.load(self.source.prompt))
        super().build_all_requests(limit=limit, offset=offset, **options)

    def construct_requests(self, doc_id: int, ctx: str, **options: Any):
        """Requests of the kind that the command's model class takes: with messages or without."""
        if _model_is_simple(getattr(self, "args", None)):
            return ConfigurableTask.construct_requests(self, doc_id, ctx, **options)
        return super().construct_requests(doc_id, ctx, **options)


def check_before_loading(config: dict[str, Any]) -> None:
    """Find a wrong data root while it is cheap: before lmms-eval loads the model.

    Whether the run will ask all questions is not known yet, so that some missing videos are only
    a warning here.

    Raises:
        FileNotFoundError: no annotation file, or not one of its videos is there.
    """
    source = source_of(with_defaults(config))
    samples = [sample for _, sample in source.read()]
    missing = [sample for sample in samples if not Path(sample.video).is_file()]
    if not missing or source.on_bad_video != "error":
        return
    found = (
        f"{len(missing)} of the {len(samples)} questions of {source.annotation_file()} have no "
        f"video in {source.video_folder()}"
    )
    if len(missing) == len(samples):
        raise FileNotFoundError(
            f"{found}: put the videos there, or set {DATA_SETTING} to the folder that holds your "
            f"datasets (now {data_root()})"
        )
    logger.warning(f"{found}; if any of them is asked, the run stops before the first answer")


def with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """The task's YAML over the shared defaults, without the key `class`."""
    path = resource_dir("lmms_tasks") / DEFAULTS
    merged = {**load_yaml_config(str(path)), **config}
    merged.pop("class", None)
    return merged


def source_of(config: dict[str, Any]) -> Source:
    """The `Source` of a task's configuration."""
    return Source.from_mapping(config.get("dataset_kwargs"), task=config.get("task", "?"))


def check_videos(samples: list, on_bad_video: str) -> None:
    """Probe each distinct video once; list the bad ones, then stop or mark them as failed.

    Raises:
        ValueError: there are bad videos and `on_bad_video` is "error".
    """
    from temporal_plugin.annotations.check import check_videos as probe

    problems = probe(samples)
    if not problems:
        return
    questions = sum(problem.samples for problem in problems)
    lines = [f"{len(problems)} videos, needed by {questions} questions, cannot be used:"]
    lines += [f"  {item.path}: {item.reason}; {item.remedy}" for item in problems[:LISTED]]
    if len(problems) > LISTED:
        lines.append(f"  and {len(problems) - LISTED} more")
    if on_bad_video == "error":
        lines.append(
            f"Set {BAD_VIDEO_SETTING}=count_as_failure to score these questions 0 and go on"
        )
        raise ValueError("\n".join(lines))
    for item in problems:
        failures.record(item.path, item.reason)
    logger.warning("\n".join([*lines, "Their questions are scored 0 and count as failed requests"]))


def checkpoint_of(args: Any) -> str | None:
    """The model folder that the command names in `--model_args`, None where it names none."""
    given = getattr(args, "model_args", None)
    if isinstance(given, str):
        given = simple_parse_args_string(given)
    for name in ("pretrained", "model", "model_version"):
        if isinstance(given, dict) and isinstance(given.get(name), str):
            return given[name]
    return None


def _model_is_simple(args: Any) -> bool:
    """True where the command asks for a model class without chat messages.

    lmms-eval picks the class of a YAML task by this, but builds a python task in one way only.
    """
    if args is None:  # called from Python: a chat model class
        return False
    from lmms_eval.models import MODEL_REGISTRY_V2

    return MODEL_REGISTRY_V2.resolve(args.model, args.force_simple).model_type == "simple"
