"""What lmms-eval loads from our `lmms_eval.models` entry point: model classes and our tasks.

lmms-eval 0.7 has an entry-point group for models and none for tasks, a task of its own wins over
one of the same name from `--include_path`, and nothing of a task is looked at before the model is
loaded. `add_tasks` mends that, for `lmms-eval` and `python -m lmms_eval`. (`lmms-eval tasks`
never loads the group and so does not list our tasks.)
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import TYPE_CHECKING

from temporal_plugin.integrations import lmms_eval_index as task_index
from temporal_plugin.integrations import versions
from temporal_plugin.integrations.import_hooks import when_imported
from temporal_plugin.resources import resource_dir

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest
    from lmms_eval.tasks import TaskManager

OVERRIDE_SETTING = "TEMPORAL_PLUGIN_LMMS_OVERRIDE"
"""Environment variable; "0" leaves lmms-eval's own task under a name that we would take."""

TAKEN_NAMES = ("temporal_grounding_charades",)
"""Names of lmms-eval's own tasks that ours answer to, where the command names them in full."""

MODEL_CLASSES = {
    "temporal_qwen_vl": "temporal_plugin.integrations.lmms_eval_model.TemporalQwenVL",
    "temporal_vllm": "temporal_plugin.integrations.lmms_eval_vllm.TemporalVLLM",
    "temporal_openai": "temporal_plugin.integrations.lmms_eval_openai.TemporalOpenAI",
}
"""Names for `--model` and the classes behind them."""


def manifests() -> list[ModelManifest]:
    """The entry point: register our tasks, return our model classes."""
    add_tasks()  # first: on an unknown version its message explains an error of what follows
    from lmms_eval.models.registry_v2 import ModelManifest

    return [
        ModelManifest(model_id=name, chat_class_path=path) for name, path in MODEL_CLASSES.items()
    ]


def add_tasks() -> bool:
    """Make every `TaskManager` know our tasks; safe to call twice.

    This patches three methods of lmms-eval's `TaskManager`, as there is no public way: the index
    gains our tasks and the user's whose names are free; the match of the user's `--tasks` puts
    ours in the place of a built-in of the same name (`TAKEN_NAMES`) for this run; and the YAML of
    a `_think` variant is that of its task in another style. `simple_evaluate` is wrapped so that
    all that is missing is said before it loads the model.

    Returns:
        False, after one message, where this version of lmms-eval was never checked.
    """
    problem = versions.problem("lmms-eval")
    if problem is not None:
        from loguru import logger

        logger.warning(
            f"{problem}. Our tasks are not found by themselves here; "
            f"pass --include_path {resource_dir('lmms_tasks')}"
        )
        return False
    # It is imported after the model registry that loads this entry point, if at all.
    when_imported("lmms_eval.tasks", lambda module: _patch(module.TaskManager))
    when_imported("lmms_eval.evaluator", lambda _: _check_before_loading())
    return True


def _patch(manager: type[TaskManager]) -> None:
    if not hasattr(manager.initialize_tasks, "temporal_plugin"):
        _index_our_tasks(manager)
        _answer_to_taken_names(manager)
        _read_variants(manager)


def _index_our_tasks(manager: type[TaskManager]) -> None:
    upstream = manager.initialize_tasks

    @wraps(upstream)
    def initialize_tasks(self, include_path=None, include_defaults=True):
        _check_before_loading()  # where evaluator itself loads our entry point: now it is whole
        if not include_defaults:  # a caller that wants its own folder only
            return upstream(self, include_path=include_path, include_defaults=False)
        theirs, ours = task_index.users_tasks(self), task_index.own_tasks(self)
        index = upstream(self, include_path=include_path, include_defaults=True)
        for name in sorted(theirs.keys() & {**ours, **index}.keys()):
            _say_hidden(name)
        known = {**theirs, **ours, **index}
        ours |= task_index.variants(ours, ours)
        self.temporal_plugin_tasks = ours
        return {**task_index.variants(known, ours), **ours, **known}

    initialize_tasks.temporal_plugin = True
    manager.initialize_tasks = initialize_tasks


def _say_hidden(name: str) -> None:
    from loguru import logger

    logger.warning(
        f"{name} of {task_index.FOLDERS_SETTING} is not used: there is a task of this name "
        "already; give it another one"
    )


def _answer_to_taken_names(manager: type[TaskManager]) -> None:
    upstream = manager.match_tasks

    @wraps(upstream)
    def match_tasks(self, task_list):
        # A wildcard is no request for this very task: `task_list` holds what the user wrote.
        ours = getattr(self, "temporal_plugin_tasks", {})
        for name in TAKEN_NAMES:
            if name in task_list and name in ours:
                _take_name(self, name, ours[name])
        return upstream(self, task_list)

    manager.match_tasks = match_tasks


def _read_variants(manager: type[TaskManager]) -> None:
    upstream = manager._get_config

    @wraps(upstream)
    def _get_config(self, name):
        return task_index.styled(upstream(self, name), name, self.task_index[name])

    manager._get_config = _get_config


def _check_before_loading() -> None:
    """Make `simple_evaluate` stop early where one of our tasks, or a user's, lacks its data."""
    evaluator = sys.modules.get("lmms_eval.evaluator")
    upstream = getattr(evaluator, "simple_evaluate", None)
    if upstream is None or hasattr(upstream, "temporal_plugin"):
        return

    @wraps(upstream)
    def simple_evaluate(*args, **options):
        manager = options.get("task_manager")
        if manager is not None:
            from temporal_plugin.integrations.lmms_eval_preflight import check_tasks

            wanted = options.get("tasks") or []
            found = [item for each in wanted for item in task_index.configs_of(manager, each)]
            model = options.get("model", args[0] if args else None)
            check_tasks(
                found,
                options.get("limit"),
                options.get("offset") or 0,
                model=model,
                force_simple=bool(options.get("force_simple")),
            )
        return upstream(*args, **options)

    simple_evaluate.temporal_plugin = True
    evaluator.simple_evaluate = simple_evaluate


def _take_name(manager: TaskManager, name: str, entry: dict) -> None:
    from loguru import logger

    if manager.task_index[name] == entry:
        return
    if os.environ.get(OVERRIDE_SETTING, "1") == "0":
        logger.info(f"{name}: lmms-eval's own task, as {OVERRIDE_SETTING}=0")
        return
    logger.warning(
        f"{name}: temporal-plugin's task runs in place of lmms-eval's own "
        f"({OVERRIDE_SETTING}=0 brings that back)"
    )
    manager.task_index[name] = entry
