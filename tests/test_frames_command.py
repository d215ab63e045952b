"""The commands of a frame store, as a user calls them."""

import json

import pytest
from typer.testing import CliRunner

from temporal_plugin import frames_command
from temporal_plugin.cli import app


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("TEMPORAL_PLUGIN_FRAME_STORE", raising=False)
    return lambda *args: CliRunner().invoke(app, ["frames", *[str(arg) for arg in args]])


@pytest.fixture
def in_this_process(monkeypatch):
    """Build without worker processes, which take seconds to start."""
    from temporal_plugin.video.frame_store import build

    monkeypatch.setattr(build, "in_processes", lambda work, jobs, _: (work(job) for job in jobs))


@pytest.fixture
def samples(tmp_path, clock_video):
    """samples(*videos): a JSONL file with two questions on each."""

    def write(*videos):
        path = tmp_path / "samples.jsonl"
        rows = [
            {"id": f"{number}{question}", "task": "grounding", "video": str(video), "query": "x"}
            | {"spans": [[1, 2]], "duration": 8.0, "clip": clip}
            for number, (video, clip) in enumerate(videos)
            for question in "ab"
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def built(run, samples, clock_video, tmp_path, in_this_process):
    """A store with two entries of one video."""
    config = samples((clock_video, None), (clock_video, [0, 4]))
    result = run("build", config, "--store", tmp_path / "store", "--sampling", "{fps: 1}")
    assert result.exit_code == 0, result.output
    assert "2 videos: 2 built, 0 there already, 0 failed" in result.output
    assert f"data.temporal.frame_store={tmp_path / 'store'}" in result.output
    return tmp_path / "store"


def test_build_again_builds_nothing(run, built, samples, clock_video):
    config = samples((clock_video, None), (clock_video, [0, 4]))
    result = run("build", config, "--store", built, "--sampling", "{fps: 1}", "--json")
    report = json.loads(result.stdout)
    assert (report["ok"], report["videos"], report["there"], report["built"]) == (True, 2, 2, 0)
    assert report["stored"] == 2


def test_training_finds_what_was_built(built, clock_video, monkeypatch):
    from temporal_plugin.video import decode, source
    from temporal_plugin.video.sampling import Sampling

    monkeypatch.setattr(decode, "load_frames", None)
    load = source.open_source(built)
    assert len(load(clock_video, Sampling.from_mapping({"fps": 1}))) == 8


def test_a_bad_video_is_listed_and_the_others_are_built(
    run, samples, clock_video, tmp_path, in_this_process
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    config = samples((broken, None), (tmp_path / "gone.mp4", None), (clock_video, None))
    result = run("build", config, "--store", tmp_path / "store", "--max-listed", 1)
    assert result.exit_code == 1
    assert "1 built, 0 there already, 2 failed" in result.output
    assert "broken.mp4: " in result.output
    assert "and 1 more" in result.output
    result = run("build", config, "--store", tmp_path / "store", "--json")
    report = json.loads(result.stdout)
    assert (report["ok"], report["there"], len(report["failed"])) == (False, 1, 2)
    assert report["failed"][1]["video"] == str(tmp_path / "gone.mp4")


def test_a_store_that_is_too_small_says_so(run, samples, clock_video, tmp_path, in_this_process):
    config = samples((clock_video, None), (clock_video, [0, 4]))
    options = ("--sampling", "{fps: 1, max_frames: 4}", "--max-bytes", "1.5M")
    result = run("build", config, "--store", tmp_path / "store", *options)
    assert "only 1 fit into the store's size limit" in result.output, result.output


def test_sampling_may_lie_in_a_file(run, samples, clock_video, tmp_path, in_this_process):
    (tmp_path / "sampling.yaml").write_text("fps: 1\n")
    sampling = frames_command._sampling(str(tmp_path / "sampling.yaml"))
    assert sampling == frames_command._sampling("{fps: 1}")


def test_stat_verify_and_prune(run, built):
    found = json.loads(run("stat", "--store", built, "--json").stdout)
    assert (found["entries"], found["jpeg_quality"]) == (2, None)
    assert "entries" in run("stat", "--store", built).output
    result = run("verify", "--store", built)
    assert result.exit_code == 0
    assert "none" in result.output
    entry = next(built.glob("??/*.safetensors"))
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)
    result = run("verify", "--store", built, "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["damaged"]) == 1
    assert run("verify", "--store", built).exit_code == 0
    result = run("prune", "--store", built, "--max-bytes", "1K", "--json")
    assert json.loads(result.stdout)["removed"] == 1
    assert json.loads(run("stat", "--store", built, "--json").stdout)["entries"] == 0


def test_prune_by_age(run, built):
    assert "removed" in run("prune", "--store", built, "--unused-days", "1").output
    assert json.loads(run("stat", "--store", built, "--json").stdout)["entries"] == 2
    run("prune", "--store", built, "--unused-days", "0")
    assert json.loads(run("stat", "--store", built, "--json").stdout)["entries"] == 0


def test_the_environment_names_the_store(run, built, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_FRAME_STORE", str(built))
    assert json.loads(run("stat", "--json").stdout)["folder"] == str(built)


@pytest.mark.parametrize("command", ["stat", "verify", "prune"])
def test_a_mistyped_folder_is_no_new_store(run, tmp_path, command):
    result = run(command, "--store", tmp_path / "stroe", "--json")
    assert result.exit_code == 1
    assert "is no frame store; make one" in json.loads(result.stdout)["error"]
    assert not (tmp_path / "stroe").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sampling", "{fps: 0}"], "sampling.fps is 0"),
        (["--sampling", "{speed: 1}"], "unknown sampling setting ['speed']; allowed"),
        (["--sampling", "fps"], "--sampling is 'fps'; needed: a mapping"),
        (["--sampling", "{fps"], "--sampling is no YAML"),
        (["--max-bytes", "much"], "--max-bytes is 'much'; needed: a number"),
        (["--fingerprint", "name"], "fingerprint is 'name'; allowed: quick, full"),
    ],
)
def test_a_mistake_is_one_line(run, samples, clock_video, tmp_path, options, message):
    result = run("build", samples((clock_video, None)), "--store", tmp_path / "s", *options)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_written(run, samples, clock_video, tmp_path):
    (tmp_path / "file").touch()
    result = run("build", samples((clock_video, None)), "--store", tmp_path / "file" / "s")
    assert result.exit_code == 1
    assert "cannot be written" in result.output


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12), ("1K", 1000), ("1.5g", 1_500_000_000), ("2TB", 2 * 10**12)]
)
def test_sizes(text, value):
    assert frames_command._size(text) == value
