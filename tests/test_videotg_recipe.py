"""The data of the recipe videotg_r1: its sources, their filter and the fast path of its README."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temporal_plugin.annotations import load
from temporal_plugin.cli import app
from temporal_plugin.resources import resource_dir

FIXTURES = Path(__file__).parent / "resources/annotations/readers"
README = (resource_dir("recipes") / "videotg_r1/README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
#: where the recipe looks for a file -> our fixture of it
FILES = {
    "qvhighlights/highlight_train_release.jsonl": "qvhighlights.jsonl",
    "didemo/train_data.json": "didemo.json",
    "tacos/train.json": "tacos.json",
    "queryd/raw_captions_combined_filtered-v2.json": "queryd_raw.json",
    "queryd/times_captions_combined_filtered-v2.json": "queryd_times.json",
    "queryd/train_list.txt": "queryd_list.txt",
    "hirest/all_data_train.json": "hirest.json",
    "cosmo_cap/anno_cosmo_cap.jsonl": "cosmo_cap.jsonl",
    "internvid_vtime/anno_internvid_vtime_query_gpt4o_mini.jsonl": "internvid_vtime.jsonl",
}
SOURCES = {"qvhighlights", "didemo", "tacos", "queryd", "hirest_grounding", "hirest_step",
           "cosmo_cap", "internvid_vtime"}  # fmt: skip


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The data folder that the README's commands take, with a few rows of every source."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEMPORAL_PLUGIN_DATA", raising=False)
    root = tmp_path / "data"
    for place, fixture in FILES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIXTURES / fixture, root / place)
    videos = {row["video"] for row in json.loads((root / "didemo/train_data.json").read_text())}
    (root / "didemo/durations.json").write_text(json.dumps(dict.fromkeys(videos, 30.0)))
    names = {line.removeprefix("video-") for line in
             (root / "queryd/train_list.txt").read_text().split()}  # fmt: skip
    (root / "queryd/durations.json").write_text(json.dumps(dict.fromkeys(names, 90.0)))
    return root


def test_all_eight_sources_are_read_and_filtered(data):
    found = load("recipe:videotg_r1/sources.yaml")
    assert {sample.source for sample in found.samples} == SOURCES
    assert all(5 <= sample.duration <= 500 for sample in found.samples)
    assert all(len(sample.query.split()) <= 200 for sample in found.samples)
    for report in found.reports:
        limits = [report.policy[name] for name in ("least_seconds", "most_seconds", "most_words")]
        assert limits == [5, 500, 200]
    (data / "queryd/durations.json").write_text('{"tinyfilm012": 500.5, "tinyfilm013": 4}')
    found = load("recipe:videotg_r1/sources.yaml")
    queryd = next(r for r in found.reports if "queryd" in r.path)
    assert {"video_too_long", "video_too_short"} <= set(queryd.findings) and queryd.kept == 0


def test_the_fast_path_from_stored_results(data):
    """The README's own command, on results that somebody stored."""
    samples = load("recipe:videotg_r1/sources.yaml").samples
    results = data / "videotg_r1"
    results.mkdir()
    difficulty, boundaries = [], []
    for number, sample in enumerate(samples):
        iou = number % 5 / 4
        difficulty.append({"id": sample.id, "source": sample.source, "ious": [iou, iou]})
        spans = [[span.start_seconds, span.end_seconds] for span in sample.spans]
        boundaries.append({"id": sample.id, "source": sample.source, "span": spans,
                           "outside": [], "votes": [], "partial": False})  # fmt: skip
    partial = boundaries[0]
    partial.update(outside=[[0.0, 1.5]], votes=[2], partial=True)
    for name, rows in (("difficulty", difficulty), ("boundaries", boundaries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (results / f"{name}.jsonl").write_text(text)

    (command,) = [line for line in COMMANDS if line[:3] == ["temporal-plugin", "curate", "select"]]
    assert command[command.index("--share") + 1] == "0.1"
    command[command.index("--share") + 1] = "0.9"  # there are few
    found = CliRunner().invoke(app, [*command[1:], "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.output)["dropped"]["partial"] == 1

    (report,) = (loaded := load("recipe:videotg_r1/train.yaml")).reports
    assert report.path == str(results / "selected.jsonl")
    known = {row["id"]: 1 - sum(row["ious"]) / 2 for row in difficulty}
    assert partial["id"] not in {sample.id for sample in loaded.samples}
    assert len(loaded.samples) > len(samples) / 2
    originals = {sample.id: sample for sample in samples}
    for sample in loaded.samples:
        assert sample.extra["difficulty"] == pytest.approx(known[sample.id])
        assert (sample.video, sample.spans) == (
            originals[sample.id].video,
            originals[sample.id].spans,
        )


def test_the_readme_measures_before_it_selects():
    tasks = [line[line.index("--tasks") + 1] for line in COMMANDS if "--tasks" in line]
    assert tasks == ["curate_difficulty", "curate_boundaries"]
    assert all((resource_dir("lmms_tasks") / task).is_dir() for task in tasks)
    steps = [line[2] for line in COMMANDS if line[:2] == ["temporal-plugin", "curate"]]
    assert steps == ["difficulty", "boundaries", "select"]
    written = {line[line.index("--out") + 1] for line in COMMANDS if "--out" in line}
    assert {f"data/videotg_r1/{name}.jsonl" for name in ("difficulty", "boundaries")} < written


def test_the_readme_names_every_file():
    for place in FILES:
        if "times_captions" not in place and "train_list" not in place:
            assert f"`{place}`" in README, place
