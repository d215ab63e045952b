"""The commands and the settings in docs/curation.md."""

import json
import re
import shlex
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.curation.boundary_reflection import ReflectionSettings, reflect
from temporal_plugin.curation.curriculum_settings import CurriculumSettings
from temporal_plugin.curation.masking_schedule import MaskingSettings
from temporal_plugin.curation.selection import METHODS
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.resources import resource_dir

TEXT = (Path(__file__).parent.parent / "docs/curation.md").read_text(encoding="utf-8")
BLOCKS = "".join(re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
COMMANDS = [shlex.split(line) for line in BLOCKS.replace("\\\n", " ").splitlines()]
TRUTH = [[2.0, 6.0]]


def test_every_command_is_run_or_checked_here():
    starts = {" ".join(command[:2]) for command in COMMANDS}
    assert starts == {
        "export TEMPORAL_PLUGIN_CURATE_DATA=charades.yaml",
        "export TEMPORAL_PLUGIN_PROMPT=think_answer",
        "lmms-eval --model",  # tasks and setting: hosts/test_lmms_eval_{curation,reflection}.py
        "temporal-plugin curate",
        "VERL_PLATFORM=cpu python",  # hosts/test_verl_resume.py, test_verl_masking.py
    }


def log_line(number, failure, **details):
    """A line of a sample log; the metric of the task's kind describes the question."""
    id = f"charades_sta/V{number}/0"
    details = {"score": 0.5, "video": "v", "id": id, "truth": TRUTH, "duration": 8.0, **details}
    metric = "named" if "problems" in details else "miou"
    row = {"doc_id": number, metric: details, "parse_failure": failure}
    return json.dumps({**row, "request_failure": failure}) + "\n"


def test_the_curate_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = {f"V{n}": {"duration": 8.0, "timestamps": TRUTH, "sentences": ["q"]} for n in range(9)}
    Path("charades_sta_train.json").write_text(json.dumps(truth))
    Path("charades.yaml").write_text(
        "datasets:\n  - {json_path: charades_sta_train.json, data_folder: videos,"
        " format: charades_sta, split: train}\n"
    )
    windows = {"qid": 1, "query": "q", "vid": "a_0.0_150.0", "duration": 150,
               "relevant_windows": [[2, 10], [20, 40]]}  # fmt: skip
    Path("qvhighlights_train.jsonl").write_text(json.dumps(windows) + "\n")
    Path("qvhighlights.yaml").write_text(
        "datasets:\n  - {json_path: qvhighlights_train.jsonl, data_folder: videos,"
        " format: qvhighlights}\n"
    )
    Path("results").mkdir()
    failure = {"score": 0.0, "video": "v"}
    difficulty = [
        log_line(n, failure, predictions=[[[2.0, 2.5 + n / 3]], [[3.0, 5.0]]]) for n in range(9)
    ]
    boundaries = [
        log_line(n, failure, predictions=[[[7.0, 7.0 + n / 5]]] * 3, problems=[None] * 3)
        for n in range(9)
    ]
    Path("results/1_samples_curate_difficulty.jsonl").write_text("".join(difficulty))
    Path("results/1_samples_curate_boundaries.jsonl").write_text("".join(boundaries))
    selected = []
    for command in COMMANDS:
        if command[:2] == ["temporal-plugin", "curate"]:
            found = CliRunner().invoke(app, command[1:])
            assert found.exit_code == 0, (command, found.output)
            if command[2] == "select":
                selected.append(len(Path("selected.jsonl").read_text().splitlines()))
    assert selected == [9, 1]
    assert Path("report/selection.png").is_file()


def test_the_tasks_are_there():
    folders = [resource_dir("lmms_tasks") / name for name in ("curate_difficulty",
                                                              "curate_boundaries")]  # fmt: skip
    names = {path.stem for folder in folders for path in folder.iterdir()}
    assert set(re.findall(r"`(curate_\w+)`", TEXT)) == names
    for command in COMMANDS:
        if command[0] == "lmms-eval":
            assert command[command.index("--tasks") + 1] in names


def test_the_settings_of_reflection_are_all_there_with_their_defaults():
    part = TEXT.partition("### Which annotations")[2].partition("## 2.")[0]
    told = {}
    for names, values in re.findall(r"^\| (`--[^|]*) \| ([^|]*) \|", part, re.MULTILINE):
        names = [name.replace("-", "_") for name in re.findall(r"`--([\w-]+)`", names)]
        told |= dict(zip(names, map(float, values.split(", ")), strict=True))
    assert told == asdict(ReflectionSettings())
    assert "nothing_outside" in KINDS["reflection"].keys and "`nothing_outside`" in part
    for name in asdict(reflect("s", [], TRUTH)):
        assert f'"{name}"' in part, name


SETTINGS = [("## 3.", CurriculumSettings), ("## 4.", MaskingSettings)]


@pytest.mark.parametrize(("title", "settings"), SETTINGS)
def test_the_settings_are_all_there_with_their_defaults(title, settings):
    part = TEXT.partition(title)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", part, re.MULTILINE)
    told = {}
    for names, values in rows:
        names = re.findall(r"`(\w+)`", names)
        told |= dict(zip(names, values.split(", "), strict=True))
    own = {item.name: item.default for item in fields(settings)}
    assert told.pop("seed") == "`data.seed`" and own.pop("seed") == 0
    assert {name: yaml.safe_load(value.strip("` ")) for name, value in told.items()} == own


def test_the_methods_are_all_there():
    assert set(re.findall(r"^\| `(\w+)`", TEXT.partition("## 3.")[0], re.MULTILINE)) == set(METHODS)


def test_the_training_commands_hold_a_curriculum_and_masks():
    verl = [command for command in COMMANDS if "verl.trainer.main_ppo" in command]
    given = [dict(part.split("=", 1) for part in command if "=" in part) for command in verl]
    first, second = ({name: yaml.safe_load(text) for name, text in part.items()} for part in given)
    settings = CurriculumSettings.from_mapping(first["data.temporal.curriculum"])
    assert settings.order == "success"
    assert MaskingSettings.from_mapping(second["data.temporal.masking"]) == MaskingSettings()


@pytest.mark.parametrize("name", ["curriculum", "rollout_seed", "masking"])
def test_the_recipe_knows_the_settings(name):
    recipe = yaml.safe_load((resource_dir("recipes") / "base/temporal_grpo.yaml").read_text())
    assert name in recipe["data"]["temporal"]
