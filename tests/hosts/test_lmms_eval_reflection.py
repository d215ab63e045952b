"""Boundary reflection through a real lmms-eval: planted partials, shards, SIGKILL, bad input.

An oracle answers from the truth (`oracle/reflection_oracle.py`); two of its three answers to each
question are right, the third is wrong or cannot be read. On real videos the same figures come free
of charge from sets with several moments per query, such as QVHighlights: `temporal-plugin curate
plant` takes one moment out of some annotations, which the flag then has to find.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("lmms_eval")

from temporal_plugin.cli import app
from temporal_plugin.demo import repeated_clips
from temporal_plugin.demo.settings import ClipSettings

pytestmark = pytest.mark.slow
CLIPS = ClipSettings(train=16, validation=0, test=0)
ORACLE = Path(__file__).parent / "oracle"
SETTING = "TEMPORAL_PLUGIN_CURATE_DATA"


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_video):
    """Demo clips, and one sample for everything that can be wrong with one."""
    folder = tmp_path_factory.mktemp("repeated")
    paths = repeated_clips.write(folder, CLIPS, 1, progress=False)
    frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)
    write_video(folder / "videos/long.mp4", frames)
    write_video(folder / "videos/short.mp4", frames[:12])
    (folder / "videos/broken.mp4").write_bytes(b"\x00" * 4096)
    common = {"task": "grounding", "query": "the dog barks", "source": "bad"}
    choice = {"task": "choice", "options": ["a", "b"], "answer": "a"}
    rows = [
        {"id": "broken", "video": "videos/broken.mp4", "spans": [[1, 2]], "duration": 9.0},
        {"id": "whole", "video": "videos/long.mp4", "spans": [[0, 4]]},
        {"id": "short", "video": "videos/short.mp4", "spans": [[0.2, 0.9]]},
        {"id": "choice", "video": "videos/long.mp4", **choice},
    ]
    with paths["train"].open("a") as file:
        file.writelines(json.dumps({**common, **row}) + "\n" for row in rows)
    with paths["truth"].open("a") as file:
        for name in ("whole", "short"):
            row = {"id": name, "planted": False, "occurrences": [[0.0, 1.0]]}
            file.write(json.dumps(row) + "\n")
    return paths


def settings_of(data, out, *, tasks="curate_boundaries", wait=0.0, **options):
    """One run, as lmms-eval's `--config` takes it."""
    model = {"truth": data["truth"], "noise": True, "wait": wait, "times": "exact",
             "max_pixels": 3136, "min_pixels": 3136}  # fmt: skip
    return {
        "model": "reflection_oracle",
        "model_args": ",".join(f"{name}={value}" for name, value in model.items()),
        "tasks": tasks,
        "batch_size": "2",
        "output_path": str(out),
        "log_samples": True,
        **options,
    }


@pytest.fixture(scope="module")
def environment(data, tmp_path_factory):
    paths = [str(ORACLE), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        SETTING: str(data["train"]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def command(folder, *runs):
    """The command of several runs, one after the other."""
    path = folder / f"{len(list(folder.iterdir()))}.yaml"
    path.write_text(json.dumps(list(runs)))
    return [sys.executable, "-m", "lmms_eval", "--config", str(path)]


def run_all(folder, runs, environment, seconds):
    """lmms-eval's output of several runs."""
    found = subprocess.run(
        command(folder, *runs), cwd=folder, env={**os.environ, **environment}, text=True,
        timeout=seconds, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return found.stdout


def curate(*arguments):
    found = CliRunner().invoke(app, ["curate", *map(str, arguments), "--json"])
    assert found.exit_code == 0, found.output
    return json.loads(found.output)


@pytest.fixture(scope="module")
def results(data, environment, host_seconds, tmp_path_factory):
    """Folder with the results of one run of both tasks (1), and of the same in 2 and 5 shards."""
    folder = tmp_path_factory.mktemp("results")
    both = "curate_boundaries,curate_difficulty"
    runs = [settings_of(data, folder / "1/whole", tasks=both)]
    asked = CLIPS.train + 3  # without the sample of another task
    for shards in (2, 5):
        size = -(-asked // shards)
        runs += [
            settings_of(data, folder / f"{shards}/{part}", tasks=both, limit=size,
                        offset=part * size)
            for part in range(shards)
        ]  # fmt: skip
    output = run_all(folder, runs, environment, host_seconds)
    assert len(list(folder.rglob("*_samples_curate_boundaries.jsonl"))) == 8, output[-5000:]
    assert "1 of the 20 questions of" in output and "They are left out: choice" in output
    return folder


def test_an_oracle_gives_a_perfect_partial_flag(results, data, tmp_path):
    out = tmp_path / "boundaries.jsonl"
    report = curate(
        "boundaries", results / "1", "--data", data["train"], "--truth", data["truth"],
        "--out", out, "--max-listed", 99,
    )  # fmt: skip
    quality = report["against_truth"]
    assert quality["precision"] == quality["recall"] == 1.0
    assert 3 <= quality["planted"] == quality["flagged"] < CLIPS.train

    truth = {row["id"]: row for row in lines(data["truth"])}
    rows = {row["id"]: row for row in lines(out)}
    for id, row in rows.items():
        hidden = [pair for pair in truth[id]["occurrences"] if pair not in row["span"]]
        if truth[id].get("kind") == "planted":
            assert row["outside"] == hidden, "exactly what is not annotated"
            assert row["votes"] in ([2], [3]), "the third answer may name all of the video"
        else:
            assert not row["partial"] and not row["outside"]


def test_everything_that_is_wrong_is_counted_and_named(results, data, tmp_path):
    report = curate(
        "boundaries", results / "1", "--data", data["train"], "--out", tmp_path / "b.jsonl",
        "--max-listed", 99,
    )  # fmt: skip
    assert report["failed_videos"] == {"count": 1, "ids": ["broken"]}
    assert report["under_2_seconds"] == {"count": 1, "ids": ["short"]}
    assert {"short", "whole"} <= set(report["nothing_outside"]["ids"])
    assert report["other_tasks"] == {"count": 1, "ids": ["choice"]}
    assert report["not_asked"]["count"] == report["not_in_data"]["count"] == 0
    asked = report["asked"]
    assert report["samples"] == CLIPS.train + 3 == asked + report["nothing_outside"]["count"] + 1
    answers = report["answers"]
    assert answers["all"] == 3 * asked == sum(answers.values()) - answers["all"]
    assert 0 < answers["unparsable"] <= asked and answers["named"] and answers["none"]
    scores = read_scores(results / "1")
    shares = {name: value * report["samples"] for name, value in scores.items()}
    assert sum(shares.values()) == pytest.approx(report["samples"]), "each question counts once"
    assert shares["request_failure"] == pytest.approx(1)
    assert shares["nothing_outside"] == pytest.approx(report["nothing_outside"]["count"])


@pytest.mark.parametrize("task", ["boundaries", "difficulty"])
@pytest.mark.parametrize("shards", [2, 5])
def test_shards_give_the_same_bytes_as_one_run(results, tmp_path, task, shards):
    whole, merged = tmp_path / "whole.jsonl", tmp_path / "merged.jsonl"
    curate(task, results / "1", "--out", whole)
    report = curate(task, results / str(shards), "--out", merged)
    assert report["logs"] == shards and report["copies"] == 0
    assert merged.read_bytes() == whole.read_bytes()
    parts = [results / str(shards) / str(part) for part in reversed(range(shards))]
    report = curate(task, *parts, parts[0], results / "1", "--out", merged)
    assert report["copies"] > 0
    assert merged.read_bytes() == whole.read_bytes()


def test_a_killed_shard_resumes_with_the_same_result(
    results, data, environment, host_seconds, tmp_path
):
    answers = tmp_path / "answers/answers_0.jsonl"
    settings = {**environment, "TEMPORAL_PLUGIN_RESUME": str(answers.parent)}
    broken = command(tmp_path, settings_of(data, tmp_path / "killed", wait=0.3))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            broken, cwd=tmp_path, env={**os.environ, **settings}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + host_seconds
            while not answers.exists() or answers.read_bytes().count(b"\n") < 6:
                assert process.poll() is None, (tmp_path / "log").read_text()[-5000:]
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-5000:]
                time.sleep(0.05)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    before = answers.read_bytes().count(b"\n")
    assert not list(tmp_path.rglob("*_samples_*")), "it was killed before it could end"
    out = tmp_path / "resumed"
    output = run_all(tmp_path, [settings_of(data, out)], settings, host_seconds)
    whole, resumed = tmp_path / "whole.jsonl", tmp_path / "resumed.jsonl"
    report = curate("boundaries", results / "1", "--out", whole)
    curate("boundaries", out, "--out", resumed)
    assert resumed.read_bytes() == whole.read_bytes(), output[-5000:]
    keys = [row["key"] for row in lines(answers)]
    assert 6 <= before < len(keys) == len(set(keys)) == report["answers"]["all"], "none asked twice"


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def read_scores(folder):
    """The metrics of curate_boundaries: means over all questions."""
    [path] = folder.rglob("*_results.json")
    found = json.loads(path.read_text())["results"]["curate_boundaries"]
    return {
        name.partition(",")[0]: value
        for name, value in found.items()
        if name.endswith(",none") and "stderr" not in name
    }
