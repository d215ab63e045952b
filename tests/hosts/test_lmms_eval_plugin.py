"""What the entry point changes in lmms-eval, and that the host still needs it."""

import inspect

import pytest

pytest.importorskip("lmms_eval")

import lmms_eval.models  # loads the entry points
from lmms_eval.tasks import TaskManager

from temporal_plugin.integrations import lmms_eval_plugin as plugin
from temporal_plugin.integrations import versions
from temporal_plugin.resources import resource_dir

TAKEN = plugin.TAKEN_NAMES[0]
FREE = "temporal_plugin_charades"


@pytest.fixture(scope="module")
def upstream_index():
    """The index as lmms-eval alone builds it."""
    manager = TaskManager(include_defaults=False)
    return inspect.unwrap(TaskManager.initialize_tasks)(manager)


@pytest.fixture
def manager(data_root, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(data_root))
    return TaskManager()


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
def test_missing_data_stops_before_a_model_is_loaded(manager, monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="TEMPORAL_PLUGIN_DATA"):
        manager.match_tasks([FREE])
    (tmp_path / "demo").mkdir()
    row = '{"id": "a", "task": "grounding", "video": "a.mp4", "query": "q", "spans": [[1, 2]]}\n'
    (tmp_path / "demo/test.jsonl").write_text(row)
    with pytest.raises(FileNotFoundError, match="1 of the 1 questions"):
        manager.match_tasks(["temporal_grounding_demo"])


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
