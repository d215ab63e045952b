"""docs/search_evaluation.md names rules, options, settings and messages that exist."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.curation import search_filter
from temporal_plugin.resources import resource_dir
from temporal_plugin.search.trace import Turn, turns_in

TEXT = (Path(__file__).parents[1] / "docs/search_evaluation.md").read_text(encoding="utf-8")
RULES = (
    *(search_filter.EASY, search_filter.HARD, search_filter.FRAMES, search_filter.NOT_SEARCHED),
    *(search_filter.FAILED_UNIFORM, search_filter.FAILED_SEARCH),
)


def test_the_table_of_rules_is_complete():
    table = TEXT.partition("| rule |")[2].partition("\n\n")[0]
    assert set(re.findall("`([a-z_]+)`", table)) == set(RULES)


@pytest.mark.parametrize("command", [("curate", "search-filter"), ("data", "traces")])
def test_the_options_shown_exist(command):
    called = re.findall(rf"temporal-plugin {' '.join(command)}((?: [^\n]*\\\n)*[^\n]*)", TEXT)
    assert called
    shown = {option for line in called for option in re.findall(r"--[a-z-]+", line)}
    known = CliRunner().invoke(app, [*command, "--help"], terminal_width=200).output
    assert shown and all(option in known for option in shown)


def test_the_options_told_of_exist():
    known = CliRunner().invoke(app, ["data", "traces", "--help"], terminal_width=200).output
    for option in ("--per-sample", "--min-searches", "--solved-above"):
        assert option in TEXT and option in known


def test_tasks_and_groups_exist():
    files = [path.stem for path in resource_dir("lmms_tasks").rglob("*.yaml")]
    named = set(re.findall(r"\b(temporal_search_loop\w*|curate_\w+|temporal_qa_\w+)", TEXT))
    assert named
    for name in named:
        assert name.removesuffix("_think") in files, name


def test_the_trace_shown_is_one():
    (block,) = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    messages = [json.loads(line) for line in block.splitlines()]
    first, last = turns_in(messages)
    assert first.seconds == (31.5, 33.0) and last == Turn(messages[2]["content"])


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([\w./]+\.md)", TEXT):
        assert (Path(__file__).parents[1] / "docs" / target).is_file()
