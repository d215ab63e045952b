"""The task folder: every YAML names things that exist, and docs/tasks.md tells of every one."""

import importlib
import json
import re
from pathlib import Path

import pytest
import yaml

from temporal_plugin import prompts
from temporal_plugin.annotations.registry import find_reader
from temporal_plugin.integrations.lmms_eval_index import TASK_MODULE
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.integrations.lmms_eval_plugin import TAKEN_NAMES
from temporal_plugin.integrations.lmms_eval_source import Source
from temporal_plugin.resources import resource_dir

FOLDER = resource_dir("lmms_tasks")
DOCUMENT = Path(__file__).parent.parent / "docs/tasks.md"
KIND_OF_CLASS = {
    "GroundingTask": "grounding",
    "MomentTask": "moment",
    "ChoiceTask": "choice",
    "GroundedChoiceTask": "grounded_choice",
    "SearchTask": "search",
    "CaptionTask": "caption",
    "SearchLoopTask": "search_loop",
    "SearchedChoiceTask": "search_choice",
    "SearchedAnyTask": "search_any",
}
NOT_IN_GROUPS = {
    "temporal_grounding_charades",  # a built-in of lmms-eval has this name
    "temporal_grounding_demo",
    "temporal_qa_tempcompass_captioning",  # needs a judge
    # need the model class temporal_search
    *(f"temporal_search_loop_{name}" for name in ("haystack_ego4d", "haystack_lvbench")),
    "temporal_search_loop_longvideobench",
    "temporal_search_demo",
}


class FunctionLoader(yaml.SafeLoader):
    """Reads `!function a.b.c` as the string a.b.c."""


FunctionLoader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def load(path: Path) -> dict:
    config = yaml.load(path.read_text(encoding="utf-8"), FunctionLoader)  # a SafeLoader
    if "include" in config:
        config = {**load(path.parent / config.pop("include")), **config}
    return config


FILES = {path: load(path) for path in sorted(FOLDER.rglob("*.yaml"))}
# of benchmarks; those of tools (curate_...) are told of in the tools' documents
TASKS = {path: it for path, it in FILES.items() if str(it["task"]).startswith("temporal_")}
GROUPS = {config["group"]: config for config in FILES.values() if "group" in config}
NAMES = {config["task"] for config in TASKS.values()}


def kind_of(config):
    module, _, name = config["class"].rpartition(".")
    assert module == TASK_MODULE
    return KIND_OF_CLASS[name]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_a_task_file_is_sound(path):
    config = TASKS[path]
    assert config["task"] == path.stem
    assert kind_of(config) in KINDS
    source = Source.from_mapping(config["dataset_kwargs"], task=path.stem)
    find_reader(source.format)
    assert "prompt" not in config["dataset_kwargs"], "a task without one has two styles"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 12


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_of_a_kind(kind):
    config = load(FOLDER / f"_{kind}.yaml.inc")
    for name in functions(config):
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))
    assert config["reasoning_tags"] == "none"
    assert config["cluster_key"] == "video"
    assert config["generation_kwargs"]["until"] == []
    assert {"temperature", "top_p", "do_sample"} <= set(config["generation_kwargs"])
    for style in ("direct", "think"):
        prompt = prompts.load(config["prompts"][style])
        assert KINDS[kind].misfit(prompt) is None
        assert prompt.contract.startswith("think") == (style == "think")
        assert config["max_new_tokens"][style] > 0


def functions(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [name for item in value for name in functions(item)]
    is_ours = isinstance(value, str) and value.startswith("temporal_plugin.")
    return [value] if is_ours else []


def test_a_free_name_stands_beside_every_taken_one():
    assert set(TAKEN_NAMES) <= NAMES
    assert "temporal_plugin_charades" in NAMES


def members(group):
    for name in GROUPS[group]["task"]:
        yield from members(name) if name in GROUPS else [name]


def test_the_groups_hold_every_task_once():
    assert {"temporal_grounding", "temporal_qa", "temporal_grounded_qa", "temporal_search"} == set(
        GROUPS["temporal_all"]["task"]
    )
    found = list(members("temporal_all"))
    assert len(found) == len(set(found))
    assert set(found) == NAMES - NOT_IN_GROUPS
    assert len(GROUPS["temporal_qa_mvbench"]["task"]) == 20


def table():
    """The rows of the table of tasks in docs/tasks.md: cells by column."""
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if "|" in line]
    start = next(number for number, line in enumerate(lines) if line.startswith("| task |"))
    names = [cell.strip() for cell in lines[start].strip("| ").split("|")]
    rows = []
    for line in lines[start + 2 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != len(names):
            break
        rows.append(dict(zip(names, cells, strict=True)))
    return rows


def documented():
    """Task -> its row; a row may stand for all tasks of a pattern such as `name_*`."""
    found = {}
    for row in table():
        for pattern in re.findall(r"`([^`]+)`", row["task"]):
            regular = re.escape(pattern).replace(r"\*", r"\w+")
            for name in NAMES:
                if re.fullmatch(regular, name):
                    found.setdefault(name, row)
    return found


def test_the_table_of_tasks_is_that_of_the_files():
    rows = documented()
    assert set(rows) == NAMES
    for path, config in TASKS.items():
        row, source = rows[path.stem], config["dataset_kwargs"]
        assert row["kind"] == kind_of(config).replace("_", " "), path.stem
        files = source["annotations"]
        for name in [files] if isinstance(files, str) else files:
            assert name.replace("{name}", "*") in row["files"], path.stem
        for name in (source.get("videos"), source.get("subtitles")):
            assert name is None or name in row["files"], path.stem
        for name in source.get("categories", {}):
            assert name in row["by"], path.stem


def test_every_name_in_the_table_is_a_task():
    for row in table():
        for pattern in re.findall(r"`([^`]+)`", row["task"]):
            regular = re.escape(pattern).replace(r"\*", r"\w+")
            assert any(re.fullmatch(regular, name) for name in NAMES), pattern


def test_the_document_names_every_metric_and_group():
    text = DOCUMENT.read_text(encoding="utf-8")
    for kind in KINDS.values():
        for key in (*kind.keys, *kind.joint):
            assert f"`{key}`" in text, key
    for group in GROUPS:
        assert f"`{group}`" in text, group


def test_the_example_task_of_the_document_is_short_and_sound():
    (example,) = re.findall(r"^```yaml\n(task: .*?)^```", DOCUMENT.read_text(), re.M | re.S)
    assert len(example.splitlines()) <= 10
    config = yaml.load(example, FunctionLoader)  # a SafeLoader
    assert kind_of(config) in KINDS
    Source.from_mapping(config["dataset_kwargs"], task="x")


def test_every_row_shown_in_the_document_is_a_sample():
    from temporal_plugin.annotations.sample import Sample

    rows = re.findall(r"^(\{.*\})$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    assert rows
    for row in rows:
        Sample.from_dict(json.loads(row))
