"""What the entry point changes in lmms-eval, and that the host still needs it."""

import copy
import inspect

import pytest

pytest.importorskip("lmms_eval")

import lmms_eval.models  # loads the entry points
from lmms_eval.tasks import TaskManager

from temporal_plugin.integrations import lmms_eval_plugin as plugin
from temporal_plugin.integrations import versions
from temporal_plugin.integrations.lmms_eval_index import configs_of
from temporal_plugin.resources import resource_dir

TAKEN = plugin.TAKEN_NAMES[0]
FREE = "temporal_plugin_charades"


@pytest.fixture(scope="module")
def upstream_index():
    """The index as lmms-eval alone builds it."""
    manager = TaskManager(include_defaults=False)
    return inspect.unwrap(TaskManager.initialize_tasks)(manager)


@pytest.fixture(scope="module")
def built():
    """All tasks are indexed once: it takes seconds."""
    return TaskManager()


@pytest.fixture
def manager(built, data_root, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(data_root))
    mine = copy.copy(built)
    mine._task_index = dict(built.task_index)
    return mine


@pytest.fixture
def log():
    from loguru import logger

    lines = []
    handle = logger.add(lines.append, format="{message}")
    yield lines
    logger.remove(handle)


def is_ours(entry):
    return entry["yaml_path"].startswith(str(resource_dir("lmms_tasks")))


@pytest.mark.slow
def test_lmms_eval_still_needs_the_hook(upstream_index):
    """If this fails, lmms-eval has learnt to find our tasks, or dropped its own: drop the hook."""
    assert FREE not in upstream_index
    assert not is_ours(upstream_index[TAKEN])


@pytest.mark.parametrize("name", plugin.MODEL_CLASSES)
def test_the_entry_point_gave_the_model_classes(name):
    manifest = lmms_eval.models.get_model_manifest(name)
    assert manifest.chat_class_path.startswith("temporal_plugin.")


@pytest.mark.slow
def test_free_names_are_indexed_and_built_ins_stay(manager, upstream_index):
    index = manager.task_index
    assert is_ours(index[FREE])
    assert {name: index[name] for name in upstream_index} == upstream_index


@pytest.mark.slow
def test_only_the_written_name_is_taken(manager, log, monkeypatch):
    manager.match_tasks(["temporal_grounding_*", "mvbench*"])
    assert not is_ours(manager.task_index[TAKEN])
    monkeypatch.setenv(plugin.OVERRIDE_SETTING, "0")
    assert manager.match_tasks([TAKEN]) == [TAKEN]
    assert not is_ours(manager.task_index[TAKEN])
    log.clear()
    monkeypatch.delenv(plugin.OVERRIDE_SETTING)
    assert manager.match_tasks([TAKEN]) == [TAKEN]
    assert is_ours(manager.task_index[TAKEN])
    assert len(log) == 1
    assert TAKEN in log[0]
    assert plugin.OVERRIDE_SETTING in log[0]


def test_a_managers_own_folder_stays_its_own(tmp_path):
    (tmp_path / "a.yaml").write_text("task: a\n")
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    assert manager.all_tasks == ["a"]


@pytest.mark.slow
def test_no_name_of_ours_hides_one_of_lmms_eval(manager, upstream_index):
    ours = set(manager.temporal_plugin_tasks)
    assert ours & set(upstream_index) == set(plugin.TAKEN_NAMES)
    assert {f"{FREE}_think", "temporal_all", "temporal_all_think"} <= ours


@pytest.mark.slow
def test_the_think_form_of_a_task_and_a_group(manager):
    config = manager._get_config("temporal_grounding_charades_think")
    assert (config["task"], config["style"]) == ("temporal_grounding_charades_think", "think")
    group = manager._get_config("temporal_search_think")
    assert group["group"] == "temporal_search_think"
    assert all(name.endswith("_think") for name in group["task"])


TASK = """\
task: {name}
class: !function temporal_plugin.integrations.lmms_eval_task.GroundingTask
dataset_kwargs:
  format: jsonl
  annotations: demo/test.jsonl
"""


@pytest.mark.slow
def test_folders_of_the_users_are_found_by_one_setting(data_root, tmp_path, monkeypatch, log):
    for folder, name in (("a", "mine"), ("b", TAKEN)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "task.yaml").write_text(TASK.format(name=name))
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(data_root))
    monkeypatch.setenv("TEMPORAL_PLUGIN_TASKS", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    manager = TaskManager()
    assert {"mine", "mine_think"} <= set(manager.all_tasks)
    assert any(TAKEN in line and "is not used" in line for line in log)
    (found,) = configs_of(manager, "mine_think")
    assert (found[0], found[1]["style"]) == ("grounding", "think")
    monkeypatch.setenv("TEMPORAL_PLUGIN_TASKS", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="which is no folder here"):
        TaskManager()


@pytest.mark.slow
def test_the_tasks_inside_what_a_command_names(manager):
    assert len(configs_of(manager, "temporal_search")) == 2
    assert len(configs_of(manager, "temporal_all")) == 40
    assert configs_of(manager, "mvbench") == []
    assert configs_of(manager, "none of these") == []
    (found,) = configs_of(manager, {"task": FREE, "limit": 3})
    assert (found[0], found[1]["limit"]) == ("grounding", 3)


@pytest.mark.slow
def test_missing_data_stops_before_a_model_is_loaded(manager, monkeypatch, tmp_path):
    from lmms_eval import evaluator

    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="temporal_plugin_charades: no annotation file"):
        evaluator.simple_evaluate(model="none", tasks=[FREE], task_manager=manager)


def test_adding_twice_changes_nothing():
    before = TaskManager.match_tasks
    assert plugin.add_tasks()
    assert TaskManager.match_tasks is before


def test_an_unknown_version_is_one_clear_message(monkeypatch, log):
    monkeypatch.setitem(versions.HOSTS, "lmms-eval", ("0.6", "0.7"))
    assert not plugin.add_tasks()
    assert len(log) == 1
    assert "lmms-eval>=0.6,<0.7" in log[0]
    assert f"--include_path {resource_dir('lmms_tasks')}" in log[0]
