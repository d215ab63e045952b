"""The task folder: every YAML names things that exist."""

import importlib
from pathlib import Path

import pytest
import yaml

from temporal_plugin import prompts
from temporal_plugin.annotations.registry import find_reader
from temporal_plugin.integrations.lmms_eval_plugin import TAKEN_NAMES, TASK_CLASS
from temporal_plugin.integrations.lmms_eval_source import Source
from temporal_plugin.resources import resource_dir

FOLDER = resource_dir("lmms_tasks")
TASKS = sorted(FOLDER.rglob("*.yaml"))


class FunctionLoader(yaml.SafeLoader):
    """Reads `!function a.b.c` as the string a.b.c."""


FunctionLoader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def load(path: Path) -> dict:
    config = yaml.load(path.read_text(encoding="utf-8"), FunctionLoader)  # a SafeLoader
    if "include" in config:
        config = {**load(path.parent / config.pop("include")), **config}
    return config


def functions(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [name for item in value for name in functions(item)]
    is_ours = isinstance(value, str) and value.startswith("temporal_plugin.")
    return [value] if is_ours else []


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_file_is_sound(path):
    config = load(path)
    assert config["task"] == path.stem
    assert config["class"] == TASK_CLASS
    source = Source.from_mapping(config["dataset_kwargs"], task=path.stem)
    find_reader(source.format)
    assert prompts.load(source.prompt).name == source.prompt
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 12


def test_the_defaults_name_functions_that_exist_and_say_how_to_generate():
    config = load(FOLDER / "_grounding.yaml.inc")
    for name in functions(config):
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))
    assert config["reasoning_tags"] == "none"
    assert config["cluster_key"] == "video"
    for kind in ("_grounding", "_thinking"):
        settings = load(FOLDER / f"{kind}.yaml.inc")["generation_kwargs"]
        assert settings["until"] == []
        assert {"max_new_tokens", "temperature", "top_p", "do_sample"} <= set(settings)


def test_a_free_name_stands_beside_every_taken_one():
    names = {load(path)["task"] for path in TASKS}
    assert set(TAKEN_NAMES) <= names
    assert "temporal_plugin_charades" in names
