"""docs/rewards.md names every reward, option, default and seed."""

import inspect
import re
from pathlib import Path

import yaml

from temporal_plugin.answers import Truth
from temporal_plugin.rewards import REWARDS, SEEDS, score
from temporal_plugin.rewards.model import TASKS
from temporal_plugin.spans import Span

PAGE = (Path(__file__).parents[2] / "docs/rewards.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of the table under a heading, without its head."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def name_of(row):
    return row[0].strip("`")


def test_the_table_names_every_reward_in_order():
    assert [name_of(row) for row in rows("The rewards")] == list(REWARDS)
    assert all(len(row) == 5 and row[1] and row[3] and row[4] for row in rows("The rewards"))


def test_the_table_names_every_option_with_its_default():
    for row in rows("The rewards"):
        options = list(inspect.signature(REWARDS[name_of(row)]).parameters.values())[2:]
        told = yaml.safe_load("{" + row[2].replace("`", "") + "}")
        assert told == {option.name: option.default for option in options}, name_of(row)


def test_the_page_names_every_seed_and_task():
    assert [name_of(row) for row in rows("Compat: the published rewards")] == list(SEEDS)
    for seed, row in zip(SEEDS.values(), rows("Compat: the published rewards"), strict=True):
        for task in seed.tasks.values():
            assert all(name in row[1] for name in task.weights)
    assert all(f"`{task}`" in PAGE for task in TASKS)


def test_the_examples_work(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_rewards.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    sample = Truth("q", spans=(Span(1, 3),), duration=8.0)
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert len(examples) == 4
    for example in examples:
        weights = example.get("weights")
        if weights is None:
            function = example["reward"]["custom_reward_function"]
            weights = function["reward_kwargs"]["weights"]
        assert score("1 to 3", sample, weights)["score"] >= 1.0
