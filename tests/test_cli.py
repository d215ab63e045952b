import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from temporal_plugin.cli import app

RESOURCES = Path(__file__).parent / "resources" / "annotations"

pytest.importorskip("av", reason="checking videos needs PyAV")


@pytest.fixture
def run():
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def folder(tmp_path, write_video):
    """A copy of the small dataset in which every video is there, as long as annotated."""
    copy = tmp_path / "data"
    copy.mkdir()
    for name in ("data_config.yaml", "charades_sta.json", "samples.jsonl"):
        shutil.copy(RESOURCES / name, copy)
    for name, seconds in (("AB123.mp4", 10), ("CD456.mp4", 20), ("sub/CD456.mp4", 21)):
        frames = np.zeros((seconds * 2, 32, 32, 3), np.uint8)
        write_video(copy / "videos" / name, frames, fps=2)
    return copy


def test_a_sound_config(run, folder):
    result = run("data", "check", folder / "data_config.yaml")
    assert result.exit_code == 0, result.output
    assert "4 samples, 3 videos, 0 video problems" in result.output
    assert "past_end: 2 rows (2 dropped, 0 changed)" in result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["charades_sta.json", "6", "4", "0", "2", "2"] in lines
    assert ["charades_sta", "train", "2", "2"] in lines
    assert ["a", "val", "1", "1"] in lines
    assert ["-", "-", "1", "1"] in lines


def test_as_json(run, folder):
    result = run("data", "check", folder / "data_config.yaml", "--json")
    content = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (content["ok"], content["samples"], content["videos"]) == (True, 4, 3)
    assert content["sources"][0] == {
        "source": "charades_sta",
        "split": "train",
        "samples": 2,
        "videos": 2,
    }
    first = content["files"][0]
    assert (first["path"], first["read"], first["dropped"]) == (
        str(folder / "charades_sta.json"),
        6,
        4,
    )
    assert first["findings"]["reversed_span"]["rows"] == 1


def test_missing_videos_are_listed_up_to_the_limit(run, folder):
    shutil.rmtree(folder / "videos")
    path = folder / "data_config.yaml"
    result = run("data", "check", path, "--max-listed", 2)
    assert result.exit_code == 1
    assert "3 missing or unreadable videos:" in result.output
    assert "AB123.mp4: missing (2 samples)" in result.output
    assert result.output.count(": missing (") == 2
    assert "and 1 more (--max-listed)" in result.output
    content = json.loads(run("data", "check", path, "--json", "--max-listed", 1).stdout)
    assert content["ok"] is False
    assert content["video_problem_count"] == 3
    assert len(content["video_problems"]) == 1
    assert content["video_problems"][0]["samples"] == 2


def test_all_malformed_rows_are_listed(run, folder):
    path = folder / "samples.jsonl"
    path.write_text('{"id": 3}\n[/b]\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    result = run("data", "check", folder / "data_config.yaml")
    assert result.exit_code == 1
    assert "2 malformed rows:" in result.output
    assert f"{path}:1: field 'task': missing" in result.output
    assert f"{path}:2: not JSON" in result.output
    content = json.loads(run("data", "check", folder / "data_config.yaml", "--json").stdout)
    assert content["files"][1]["error_count"] == 2


def test_nothing_left_is_an_error(run, tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"id": "a", "task": "grounding", "video": "v.mp4", "query": "q", "spans": []}
    path.write_text(json.dumps(row))
    result = run("data", "check", path)
    assert result.exit_code == 1
    assert "no sample is left to load" in result.output


@pytest.mark.parametrize("name", ["none.yaml", "rows.csv"])
def test_a_config_that_cannot_be_read(run, tmp_path, name):
    result = run("data", "check", tmp_path / name)
    assert result.exit_code == 1
    assert result.output.startswith(f"error: {tmp_path / name}: ")
    assert "Traceback" not in result.output
    content = json.loads(run("data", "check", tmp_path / name, "--json").stdout)
    assert content["ok"] is False
    assert str(tmp_path / name) in content["error"]


def test_help_has_an_example(run):
    result = run("data", "check", "--help")
    assert result.exit_code == 0
    assert "Example: temporal-plugin data check" in result.output
    assert "format: charades_sta" in result.output


def test_importing_the_command_line_is_light():
    code = (
        "import sys, temporal_plugin.cli; "
        "print([m for m in ('torch', 'numpy', 'av', 'temporal_plugin.annotations') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_histograms_and_the_policy_are_shown(run, folder):
    result = run("data", "check", folder / "data_config.yaml", "--no-videos")
    assert "policy on_bad_span: drop" in result.output
    assert "span length (s)   |" in result.output
    assert "1 samples have no split" in result.output
    content = json.loads(run("data", "check", folder / "data_config.yaml", "--json").stdout)
    assert content["histograms"][0]["span_seconds"]["median"] == pytest.approx(5.95)
    assert content["files"][0]["policy"]["on_bad_span"] == "drop"
    assert content["failures"] == []


def test_a_strict_check_fails_by_name(run, folder):
    path = folder / "data_config.yaml"
    result = run("data", "check", path, "--no-videos", "--strict", "--allow", "duplicate")
    assert result.exit_code == 1
    assert "failed: empty_span, past_end" in result.output
    assert "1 rows: duplicate:" in result.output


def test_train_and_test_together(run, folder):
    rows = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    for split in ("train", "test"):
        row = {**json.loads(rows[0]), "id": split, "split": split}
        (folder / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    result = run("data", "check", folder / "train.jsonl", folder / "test.jsonl", "--no-videos")
    assert result.exit_code == 1
    assert "failed: leakage" in result.output


@pytest.mark.parametrize("to", ["verl", "easyr1", "jsonl", "lmms_eval"])
def test_an_export(run, folder, tmp_path, to):
    out = tmp_path / ("task" if to == "lmms_eval" else "out.jsonl")
    result = run("data", "export", folder / "charades_sta.yaml", "--to", to, "--out", out)
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    (folder / "only.yaml").write_text(
        "datasets:\n  - json_path: charades_sta.json\n    data_folder: videos\n"
        "    format: charades_sta\n    on_bad_span: clip\n"
    )
    result = run("data", "export", folder / "only.yaml", "--to", to, "--out", out)
    assert result.exit_code == 0, result.output
    assert "3 rows, prompt answer (" in result.output
    assert all(Path(line).is_file() for line in result.output.splitlines()[1:])


def test_an_export_says_what_it_left_out(run, folder, tmp_path):
    arguments = ("data", "export", folder / "data_config.yaml", "--to", "easyr1", "--out")
    result = run(*arguments, tmp_path / "out.jsonl")
    assert result.exit_code == 1
    assert "1 rows ('a/1'): shows a part of its video file" in result.output
    result = run(*arguments, tmp_path / "out.jsonl", "--skip")
    assert result.exit_code == 0
    assert "3 rows, prompt answer" in result.output and "1 left out" in result.output


def test_a_fetch_with_nothing_remote(run, folder):
    result = run("data", "fetch", folder / "data_config.yaml")
    assert (result.exit_code, result.output) == (0, "0 videos fetched, 0 problems\n")
