"""The commands, the settings and the program in docs/search.md."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.search.frame_search import METHODS
from temporal_plugin.search.settings import SearchSettings
from temporal_plugin.video.frame_store import build

TEXT = (Path(__file__).parent.parent / "docs/search.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


COMMANDS = [shlex.split(line) for line in "".join(blocks("bash")).replace("\\\n", " ").splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch, siglip_folder, write_video):
    """A folder in which the document's names mean something: a video of 70 s, an encoder."""
    import numpy as np

    frames = (
        np.zeros((70, 32, 48, 3), np.uint8) + np.arange(70, dtype=np.uint8)[:, None, None, None]
    )
    write_video(tmp_path / "VIDEO.mp4", frames, fps=1)
    Path(tmp_path / "SIGLIP").symlink_to(siglip_folder)
    row = '{"id": "1", "task": "grounding", "video": "VIDEO.mp4", "query": "x", "spans": [[1, 2]]'
    (tmp_path / "rows.jsonl").write_text(row + ', "duration": 70.0}\n')
    (tmp_path / "videos.yaml").write_text(
        "datasets:\n  - {json_path: rows.jsonl, data_folder: ., format: jsonl, split: train}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "in_processes", lambda work, jobs, _: (work(job) for job in jobs))
    return tmp_path


def test_the_commands_run(place):
    assert [command[1] for command in COMMANDS] == ["search", "frames", "frames"]
    for command in COMMANDS:
        given = [*command[1:], "--encoder", "SIGLIP", "--device", "cpu"]
        found = CliRunner().invoke(app, given)
        empty = "--shard" in command and "no video is left" in found.output  # one video only
        assert found.exit_code == 0 or empty, found.output
    assert (place / "found.png").exists()


def test_the_program_runs(place):
    program = blocks("python")[0]
    values = {}
    exec(program, values)
    assert len(values["frames"]) == 8
    assert values["client"].settings.method == "dpp"


def test_the_yaml_is_valid_and_the_settings_are_all_there():
    given = yaml.safe_load(blocks("yaml")[0])
    SearchSettings.from_mapping(given)
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", TEXT.partition("## Settings")[2], re.MULTILINE)
    defaults = {item.name: item.default for item in fields(SearchSettings)}
    told = set(given)
    for names, values in rows:
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True):
            told.add(name)
            default = defaults[name]
            assert default is None or yaml.safe_load(value.strip("` ")) == default, name
    assert told == set(defaults)


def test_the_methods_are_all_there():
    assert set(re.findall(r"^\| `(dpp|top_k|uniform)`", TEXT, re.MULTILINE)) == set(METHODS)
