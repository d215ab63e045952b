"""Every command in the README and the recipes' READMEs is run here, or by the test named here."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", *sorted(ROOT.glob("recipes/*/README.md"))]

# command -> what runs it; the starts of longer commands are enough
COMMANDS = {
    "git clone": "what comes before this checkout",
    "make demo": "test_make_knows_its_targets",
    "make test-fast": "test_make_knows_its_targets",
    "make test": "test_make_knows_its_targets; it is what runs this file",
    "pip install 'temporal-plugin[": "test_extras_exist",
    "temporal-plugin doctor": "test_doctor, test_doctor.py",
    "export TEMPORAL_PLUGIN_FRAME_STORE=frames": "test_data_check",
    "export TEMPORAL_PLUGIN_JUDGE_URL=": "integrations/test_verl_search_reward.py",
    "temporal-plugin frames": "test_data_check",
    "temporal-plugin search": "test_search_command.py",
    "temporal-plugin data check charades.yaml": "test_data_check",
    "temporal-plugin data export charades.yaml": "test_data_check",
    "temporal-plugin report results": "report/test_report_command.py",
    "TEMPORAL_PLUGIN_CURATE_DATA=": "hosts/test_lmms_eval_curation.py",
    "temporal-plugin curate": "test_curation_doc.py",
    "VERL_PLATFORM=cpu python -m verl.trainer.main_ppo": "hosts/test_verl_run.py",
    "python -m verl.trainer.main_ppo --config-name": "hosts/test_recipes.py, test_recipes_run.py",
    "VERL_PLATFORM=cpu TEMPORAL_PLUGIN_TINY=": "hosts/test_search_demo_run.py",
    "python benchmarks/bench_search_learning.py": "hosts/test_search_demo_run.py, but the loop",
    "lmms-eval --model temporal_qwen_vl": "hosts/test_lmms_eval_run.py",
}


def blocks(language: str) -> list[str]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in READMES)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    parts = (part for line in lines for part in line.split(" && "))
    return [part.strip() for part in parts if part.strip() and not part.startswith(("#", "cd "))]


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_every_command_is_known():
    unknown = [line for line in commands() if not line.startswith(tuple(COMMANDS))]
    assert not unknown, f"no test runs these; name one in COMMANDS: {unknown}"
    unused = [start for start in COMMANDS if not any(c.startswith(start) for c in commands())]
    assert not unused, f"no README holds these any more: {unused}"


@pytest.mark.parametrize("target", ["demo", "test", "test-fast", "demo MODEL=qwen3_vl",
                                    "demo ROLLOUT=vllm"])  # fmt: skip
def test_make_knows_its_targets(target):
    done = run("make", "-n", *target.split(), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert ("temporal-plugin demo" if "demo" in target else "-m pytest") in done.stdout


def test_extras_exist():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib comes with Python 3.11")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra for line in commands() for extra in re.findall(r"temporal-plugin\[(\S+?)\]", line)
    }
    assert named and named <= set(project["optional-dependencies"])


@pytest.mark.slow
def test_doctor():
    done = run(script("temporal-plugin"), "doctor", "--json")
    states = {row["what"]: row["state"] for row in json.loads(done.stdout)["environment"]}
    assert done.returncode == 0, done.stdout
    assert {"verl", "lmms-eval", "plugin in verl", "recipes", "lmms_tasks"} <= set(states)


def test_data_check(tmp_path, write_video):
    """The README's own YAML, as it stands there, beside a file as Charades-STA publishes it."""
    import numpy as np

    (config,) = [block for block in blocks("yaml") if block.startswith("# charades.yaml")]
    (tmp_path / "charades.yaml").write_text(config)
    write_video(tmp_path / "charades_sta/videos/AO8RW.mp4", np.zeros((60, 64, 64, 3), np.uint8))
    rows = {"AO8RW": {"duration": 6.0, "timestamps": [[0.5, 4.0]], "sentences": ["a door opens."]}}
    (tmp_path / "charades_sta/charades_sta_train.json").write_text(json.dumps(rows))
    done = run(script("temporal-plugin"), "data", "check", "charades.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in commands() if line.startswith("temporal-plugin data export")]
    done = run(script("temporal-plugin"), *line.split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    store = {**os.environ, "TEMPORAL_PLUGIN_FRAME_STORE": "frames"}
    for line in commands():
        if line.startswith("temporal-plugin frames"):
            done = run(script("temporal-plugin"), *shlex.split(line)[1:], cwd=tmp_path, env=store)
            assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "frames").rglob("*.safetensors"))
    (row,) = json.loads((tmp_path / "sft.json").read_text())
    assert row["messages"][-1]["content"] == "<answer>0.50 to 4.00</answer>"


def test_a_newcomers_format(tmp_path, monkeypatch):
    """The README's own reader and YAML, as they stand there; fewer than 15 lines of Python."""
    from temporal_plugin.annotations import load_samples

    (reader,) = [block for block in blocks("python") if block.startswith("# my_format.py")]
    (config,) = [block for block in blocks("yaml") if block.startswith("# my_format.yaml")]
    assert len(reader.splitlines()) < 15
    (tmp_path / "my_format.py").write_text(reader)
    (tmp_path / "my_format.yaml").write_text(config)
    (tmp_path / "labels.csv").write_text("file,text,from,to\na.mp4,a door opens,1.5,4\n")
    monkeypatch.syspath_prepend(tmp_path)
    (sample,) = load_samples(tmp_path / "my_format.yaml")
    assert (sample.id, sample.query, sample.split) == ("my/0", "a door opens", "train")
    assert sample.video == str(tmp_path / "videos" / "a.mp4")
    assert (sample.spans[0].start_seconds, sample.spans[0].end_seconds) == (1.5, 4.0)


@pytest.mark.slow
def test_the_new_task_is_what_lmms_eval_finds(tmp_path):
    (task,) = [block for block in blocks("yaml") if block.startswith("task: my_videos")]
    (tmp_path / "my_videos.yaml").write_text(task)
    code = (
        "from lmms_eval.tasks import TaskManager; "
        f"print('my_videos' in TaskManager(include_path={str(tmp_path)!r}).all_tasks)"
    )
    done = run(sys.executable, "-c", code, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.stdout.strip().endswith("True"), done.stderr[-2000:]


def test_every_row_shown_is_a_sample():
    from temporal_plugin.annotations.sample import Sample

    rows = re.findall(r"^`(\{.*\})`", READMES[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert rows
    for row in rows:
        Sample.from_dict(json.loads(row))


def test_the_settings_table_names_real_settings():
    recipe = yaml.safe_load((ROOT / "recipes/base/temporal_grpo.yaml").read_text())
    text = READMES[0].read_text(encoding="utf-8")
    for name in re.findall(r"^\| `(data\.temporal\.\w+)`", text, re.MULTILINE):
        assert name.rpartition(".")[2] in recipe["data"]["temporal"]
