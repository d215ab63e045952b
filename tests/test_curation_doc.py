"""The commands and the settings in docs/curation.md."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.curation.curriculum_settings import CurriculumSettings
from temporal_plugin.curation.masking_schedule import MaskingSettings
from temporal_plugin.curation.selection import METHODS
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
        "lmms-eval --model",  # the task and its setting: hosts/test_lmms_eval_curation.py
        "temporal-plugin curate",
        "VERL_PLATFORM=cpu python",  # hosts/test_verl_resume.py, test_verl_masking.py
    }


def test_the_curate_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = {f"V{n}": {"duration": 8.0, "timestamps": TRUTH, "sentences": ["q"]} for n in range(9)}
    Path("charades_sta_train.json").write_text(json.dumps(truth))
    Path("charades.yaml").write_text(
        "datasets:\n  - {json_path: charades_sta_train.json, data_folder: videos,"
        " format: charades_sta, split: train}\n"
    )
    Path("results").mkdir()
    lines = []
    for number in range(9):
        details = {"score": 0.5, "video": "v", "id": f"charades_sta/V{number}/0", "truth": TRUTH}
        details["predictions"] = [[[2.0, 2.5 + number / 3]], [[3.0, 5.0]]]
        failure = {"score": 0.0, "video": "v"}
        row = {"doc_id": number, "miou": details, "parse_failure": failure}
        lines.append(json.dumps({**row, "request_failure": failure}) + "\n")
    Path("results/1_samples_curate_difficulty.jsonl").write_text("".join(lines))
    for command in COMMANDS:
        if command[:2] == ["temporal-plugin", "curate"]:
            found = CliRunner().invoke(app, command[1:])
            assert found.exit_code == 0, found.output
    assert len(Path("selected.jsonl").read_text().splitlines()) == 9


def test_the_tasks_are_there():
    names = {path.stem for path in (resource_dir("lmms_tasks") / "curate_difficulty").iterdir()}
    named = set(re.findall(r"`(curate_difficulty\w*)`", TEXT))
    assert named == names
    [lmms_eval] = [command for command in COMMANDS if command[0] == "lmms-eval"]
    assert lmms_eval[lmms_eval.index("--tasks") + 1] in names


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
