"""Which tasks there are: ours, those of the user's own folders, and the `_think` form of each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_plugin.resources import resource_dir

if TYPE_CHECKING:
    from lmms_eval.tasks import TaskManager

FOLDERS_SETTING = "TEMPORAL_PLUGIN_TASKS"
"""Environment variable: folders of the user's own tasks, separated as in PATH."""

THINK = "_think"
"""Ending of the name under which a task, or a group of ours, is asked for reasoning."""

TASK_MODULE = "temporal_plugin.integrations.lmms_eval_task"


def own_tasks(manager: TaskManager) -> dict[str, dict]:
    """The index entries of our tasks and groups."""
    return dict(manager._get_task_and_group(str(resource_dir("lmms_tasks"))))


def users_tasks(manager: TaskManager) -> dict[str, dict]:
    """The index entries of the folders that `FOLDERS_SETTING` names.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    found: dict[str, dict] = {}
    for name in os.environ.get(FOLDERS_SETTING, "").split(os.pathsep):
        if not name:
            continue
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{FOLDERS_SETTING} names {name}, which is no folder here; allowed: folders with "
                f"task YAML files, separated by {os.pathsep!r}"
            )
        found = {**manager._get_task_and_group(str(folder)), **found}
    return found


def variants(index: dict[str, dict], groups: dict[str, dict]) -> dict[str, dict]:
    """The `_think` entries of all tasks of our classes that do not fix their prompt.

    Args:
        index: all entries.
        groups: those among which groups get one too.
    """
    found = {}
    for name, entry in index.items():
        is_group = entry["type"] == "group" and name in groups
        if is_group or (entry["type"] == "python_task" and _is_free(entry)):
            found[name + THINK] = {**entry, "variant_of": name}
    return found


def kind_of(entry: dict) -> str | None:
    """The kind of a task of our classes, None for any other entry."""
    if entry["type"] != "python_task":
        return None
    from temporal_plugin.integrations.lmms_eval_task import CLASSES

    found = CLASSES.get(_class_name(_read(entry)))
    return None if found is None else found.KIND


def styled(config: dict[str, Any], name: str, entry: dict) -> dict[str, Any]:
    """The YAML of a variant, as upstream's is read from the file of what it varies."""
    if "variant_of" not in entry:
        return config
    if entry["type"] == "group":
        tasks = [task + THINK for task in config["task"]]
        return {**config, "group": name, "task": tasks}
    return {**config, "task": name, "style": "think"}


def configs_of(manager: TaskManager, wanted: Any) -> list[tuple[str, dict[str, Any]]]:
    """(kind, YAML) of every task of our classes in one item of a command's task list."""
    if isinstance(wanted, dict):
        return _of_config(manager, wanted)
    entry = manager.task_index.get(wanted) if isinstance(wanted, str) else None
    if entry is None:
        return []
    if entry["type"] in ("group", "tag"):
        inside = entry["task"] if entry["task"] != -1 else manager._get_config(wanted)["task"]
        return [found for each in inside for found in configs_of(manager, each)]
    kind = kind_of(entry)
    return [] if kind is None else [(kind, manager._get_config(wanted))]


def _of_config(manager: TaskManager, config: dict) -> list[tuple[str, dict[str, Any]]]:
    kind = getattr(config.get("class"), "KIND", None)
    if kind is not None:
        return [(kind, config)]
    inside = config.get("task")
    if isinstance(inside, list):
        return [found for each in inside for found in configs_of(manager, each)]
    return [(kind, {**found, **config}) for kind, found in configs_of(manager, inside)]


def _read(entry: dict) -> dict:
    """The YAML without importing what it names: others' classes are none of our business."""
    from lmms_eval.utils import load_yaml_config

    return load_yaml_config(entry["yaml_path"], mode="simple")


def _class_name(config: dict) -> str:
    return str(getattr(config.get("class"), "value", ""))


def _is_free(entry: dict) -> bool:
    config = _read(entry)
    is_ours = _class_name(config).startswith(f"{TASK_MODULE}.")
    return is_ours and "prompt" not in (config.get("dataset_kwargs") or {})
