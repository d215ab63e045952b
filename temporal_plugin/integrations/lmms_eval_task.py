"""The lmms-eval task classes: our samples as their documents, checked before the model answers.

One class per kind of task; a task's YAML names it under `class`, which brings the defaults of
`lmms_tasks/_<kind>.yaml.inc`, and `dataset_kwargs` holds the fields of `Source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import datasets
from lmms_eval.api.task import ConfigurableMessagesTask, ConfigurableTask
from lmms_eval.utils import create_iterator, simple_parse_args_string
from loguru import logger

from temporal_plugin import prompts
from temporal_plugin.integrations import lmms_eval_breakdown as breakdown
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_preflight as preflight
from temporal_plugin.integrations import lmms_eval_reflection as reflection
from temporal_plugin.integrations import lmms_eval_time_loss as time_loss
from temporal_plugin.integrations.lmms_eval_config import complete, source_of
from temporal_plugin.integrations.lmms_eval_docs import to_doc, to_sample
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.metrics.means import LOWER_IS_BETTER, REQUEST_FAILURE


class TemporalTask(ConfigurableMessagesTask):
    """What all kinds share.

    It is one of lmms-eval's "python tasks", the documented way for a task to bring its own
    documents; nothing is downloaded. Any key of a task's YAML overrules the defaults.

    Raises:
        FileNotFoundError, ValueError, AnnotationError: as `Source.read`.
    """

    KIND: ClassVar[str]

    def __init__(self, config: dict[str, Any]) -> None:
        config = complete(config, self.KIND)
        self.kind = KINDS[self.KIND]
        self.source = source_of(config)
        self.categories: list[str] = []
        super().__init__(config=config)

    def download(self, dataset_kwargs: dict[str, Any] | None = None) -> None:
        """Read the annotation file; lmms-eval's own method would ask the hub."""
        rows = self.documents()
        logger.info(
            f"{self.config.task}: {len(rows)} questions from {self.source.annotation_file()}, "
            f"videos in {self.source.video_folder()}, prompt {self.source.prompt}"
        )
        self.dataset = datasets.DatasetDict(
            {self.config.test_split: datasets.Dataset.from_list(rows)}
        )
        self.dataset_no_image = self.dataset

    def documents(self) -> list[dict[str, Any]]:
        """The rows of the dataset that lmms-eval iterates over."""
        return [
            to_doc(sample, name, self.source.prompt, self.KIND)
            for name, sample in preflight.read(self.source, self.kind)
        ]

    def _prepare_metric_and_aggregation(self) -> None:
        """The metrics of the kind; a task with a `metric_list` has that, as lmms-eval takes it."""
        if self.config.metric_list is not None:
            super()._prepare_metric_and_aggregation()
            return
        names = (*self.kind.keys, REQUEST_FAILURE)
        self._metric_fn_list = dict.fromkeys(names)
        self._metric_fn_kwargs = {name: {} for name in names}
        self._aggregation_list = dict.fromkeys(names, docs.mean_score)
        self._aggregation_list |= dict.fromkeys(self.kind.joint, docs.f1_of_means)
        self._higher_is_better = {
            name: name not in LOWER_IS_BETTER for name in self._aggregation_list
        }

    def build_all_requests(self, *, limit=None, offset: int = 0, **options: Any) -> None:
        """Check the videos of all questions that will be asked, then build the requests.

        Raises:
            ValueError: there are missing or unreadable videos (`on_bad_video: error`), or a judge
                is needed and none is configured.
        """
        limit = int(limit) if limit else None
        asked = create_iterator(self.eval_docs, 0, 1, limit=limit, offset=offset)
        samples = [to_sample(doc) for doc in asked]
        if self.KIND == "caption":
            captions.require_judge(self.config.task)
        preflight.check_videos(samples, self.source.on_bad_video)
        self._add_categories(samples)
        args = getattr(self, "args", None)
        time_loss.warn_once(args, clips=any(sample.clip for sample in samples))
        checkpoint = checkpoint_of(args)
        if checkpoint is not None:
            prompts.warn_on_mismatch(checkpoint, prompts.load(self.source.prompt))
        super().build_all_requests(limit=limit, offset=offset, **options)

    def _add_categories(self, samples: Sequence[Any]) -> None:
        """Give each category among these samples its metrics."""
        if not self.source.categories:
            return
        rows = [breakdown.categories_of(sample, self.source.categories) for sample in samples]
        self.categories = breakdown.values(rows)
        bare = sum(len(row) < len(self.source.categories) for row in rows)
        if bare:
            logger.warning(
                f"{self.config.task}: {bare} of {len(rows)} questions lack a category "
                f"({', '.join(self.source.categories.values())}) and are in no breakdown by it"
            )
        for value in self.categories:
            for name in breakdown.names(self.kind.merits, value):
                counts = name.startswith(f"{breakdown.QUESTIONS}/")
                self._aggregation_list[name] = docs.count if counts else docs.mean_score
                self._higher_is_better[name] = True

    def construct_requests(self, doc_id: int, ctx: str, **options: Any):
        """Requests of the kind that the command's model class takes: with messages or without."""
        if _model_is_simple(getattr(self, "args", None)):
            return ConfigurableTask.construct_requests(self, doc_id, ctx, **options)
        return super().construct_requests(doc_id, ctx, **options)

    def apply_filters(self) -> None:
        """Hand on every response: lmms-eval's default filter keeps the first of `repeats`."""
        for instance in self._instances:
            given = instance.resps
            instance.filtered_resps["none"] = given[0] if len(given) == 1 else list(given)

    def process_results(self, doc: Mapping[str, str], results: Sequence[Any], full_docs=None):
        """The items of `lmms_eval_docs.process_results`, and those of the categories."""
        if self.config.process_results is None:  # --predict_only
            return super().process_results(doc, results)
        items = self.config.process_results(doc, results)
        if self.kind.details not in items:  # a function of the user's own
            return items
        mine = breakdown.categories_of(to_sample(doc), self.source.categories)
        items[self.kind.details]["category"] = mine
        return breakdown.with_categories(items, self.kind.merits, mine, self.categories)


class GroundingTask(TemporalTask):
    """Find when an event happens: R1@IoU and mIoU over the union of spans."""

    KIND = "grounding"


class MomentTask(TemporalTask):
    """Find all moments of an event, ranked: what grounding measures, and QVHighlights' own."""

    KIND = "moment"


class ChoiceTask(TemporalTask):
    """Multiple choice: accuracy."""

    KIND = "choice"


class GroundedChoiceTask(TemporalTask):
    """Multiple choice with the moment that proves it."""

    KIND = "grounded_choice"


class SearchTask(TemporalTask):
    """Multiple choice about a long video, with the instants that show the answer."""

    KIND = "search"


class ReflectionTask(TemporalTask):
    """Find the event outside of the annotated spans: for curation, see `lmms_eval_reflection`.

    The task's `metadata` may hold `reflection`, a mapping of `ReflectionSettings`.
    """

    KIND = "reflection"

    def documents(self) -> list[dict[str, Any]]:
        settings = (self.config.metadata or {}).get(reflection.SETTINGS)
        return reflection.add_settings(super().documents(), settings)

    def build_all_requests(self, **options: Any) -> None:
        """As every task; refuses a model class that would show the whole video.

        Raises:
            ValueError: the command names such a class.
        """
        args = getattr(self, "args", None)
        model = getattr(args, "model", None)
        simple = bool(getattr(args, "force_simple", False))
        problem = None if model is None else reflection.model_problem(model, force_simple=simple)
        if problem is not None:
            raise ValueError(f"{self.config.task}: {problem}")
        super().build_all_requests(**options)


class CaptionTask(TemporalTask):
    """An open answer, judged by a local server."""

    KIND = "caption"


CLASSES: dict[str, type[TemporalTask]] = {
    f"{each.__module__}.{each.__qualname__}": each
    for each in (
        *(GroundingTask, MomentTask, ChoiceTask),
        *(GroundedChoiceTask, SearchTask, CaptionTask, ReflectionTask),
    )
}
"""What `class: !function ...` can name -> the class."""


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
