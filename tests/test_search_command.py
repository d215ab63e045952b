"""`frames embed` and `search`, as a user calls them."""

import json

import pytest
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.search.embed_videos import shard
from temporal_plugin.search.embedding_store import EmbeddingStore
from temporal_plugin.video.frame_store import build
from temporal_plugin.video.frame_store.owner import Owner, _machine


@pytest.fixture
def run(monkeypatch, tmp_path, siglip_folder):
    """run(command, ...): with a store and an encoder, in this process."""
    monkeypatch.setattr(build, "in_processes", lambda work, jobs, _: (work(job) for job in jobs))
    monkeypatch.setenv("TEMPORAL_PLUGIN_FRAME_STORE", str(tmp_path / "store"))
    encoder = ["--encoder", str(siglip_folder), "--device", "cpu"]

    def invoke(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), *encoder])

    return invoke


@pytest.fixture
def config(tmp_path, scenes_video, clock_video):
    """Two videos with two questions each, one of them cut off, and a third that is fine."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clock_video.read_bytes()[:1500])
    path = tmp_path / "samples.jsonl"
    rows = [
        {"id": f"{number}{question}", "task": "grounding", "video": str(video), "query": "x"}
        | {"spans": [[1, 2]], "duration": 8.0}
        for number, video in enumerate((scenes_video, cut, clock_video))
        for question in "ab"
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_embed_counts_and_names_bad_videos_and_goes_on(run, config, tmp_path):
    result = run("frames", "embed", config, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    counts = {name: report[name] for name in ("ok", "videos", "built", "there", "not_tried")}
    assert counts == {"ok": False, "videos": 3, "built": 2, "there": 0, "not_tried": 0}
    assert [failure["video"] for failure in report["failed"]] == [str(tmp_path / "cut.mp4")]
    assert "cannot be decoded" in report["failed"][0]["reason"]
    assert report["bytes"] == (24 + 16) * 32 * 4
    again = run("frames", "embed", config)
    assert "3 videos: 0 embedded, 2 there already, 1 failed, 0 not tried; 0.0 MB" in again.output
    assert "cut.mp4: cannot be decoded" in again.output


def test_embed_clears_what_killed_processes_left_behind(run, config, tmp_path):
    folder = tmp_path / "store" / "embeddings" / "ab"
    folder.mkdir(parents=True)
    gone = folder / f"{'ab' * 32}.{Owner(_machine(), 2**22 + 1, 1)}.01234567.tmp"
    gone.touch()
    mine = folder / f"{'ab' * 32}.{Owner.this_process()}.01234567.tmp"
    mine.touch()
    run("frames", "embed", config)
    assert list(folder.iterdir()) == [mine]


def test_shards_share_the_videos_out(run, config):
    counts = []
    for part in ("1/2", "2/2"):
        report = json.loads(run("frames", "embed", config, "--shard", part, "--json").stdout)
        counts.append((report["videos"], report["built"], len(report["failed"])))
    assert counts == [(2, 2, 0), (1, 0, 1)]
    videos = [str(number) for number in range(10)]
    parts = [shard(videos, number, 3) for number in (1, 2, 3)]
    assert sorted(video for part in parts for video in part) == videos
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--shard", "0/2"), "shard is 0/2; needed: i/n with 1 <= i <= n"),
        (("--shard", "3/2"), "shard is 3/2"),
        (("--shard", "two"), "--shard is 'two'; needed: i/n, such as 2/4"),
        (("--fps", "0"), "fps is 0"),
        (("--dtype", "half"), "dtype is 'half'; allowed: auto"),
    ],
)
def test_a_wrong_option_is_one_line(run, config, arguments, message):
    result = run("frames", "embed", config, *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_workers_are_real_processes(config, siglip_folder, tmp_path):
    arguments = ["frames", "embed", config, "--store", tmp_path / "store", "--workers", "2"]
    arguments += ["--encoder", siglip_folder, "--device", "cpu", "--json"]
    report = json.loads(CliRunner().invoke(app, [*map(str, arguments)]).stdout)
    assert (report["built"], len(report["failed"])) == (2, 1)


def test_search_says_when(run, scenes_video, encoder, tmp_path):
    result = run(
        "search", scenes_video, "a red square", "--start", 2, "--end", 9.5, "--count", 4, "--json"
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert len(report["seconds"]) == 4
    assert all(2 <= seconds < 9.5 for seconds in report["seconds"])
    assert report["frames"] == [round(10 * seconds) for seconds in report["seconds"]]
    assert EmbeddingStore(tmp_path / "store").has(scenes_video, encoder.fingerprint, 2.0)
    text = run("search", scenes_video, "a red square", "--start", 2, "--end", 9.5, "--count", 4)
    times = ", ".join(f"{seconds:.1f}" for seconds in report["seconds"])
    assert text.stdout.splitlines()[-1] == f"4 frames (dpp) at {times} s"


@pytest.mark.parametrize("method", ["dpp", "uniform"])
def test_search_writes_a_picture(run, scenes_video, tmp_path, method):
    from PIL import Image

    picture = tmp_path / "found.png"
    arguments = ("--method", method, "--count", 10, "--plot", picture)
    result = run("search", scenes_video, "costs $5 and $_x$", *arguments)
    assert result.exit_code == 0, result.output
    assert f"picture: {picture}" in result.output
    assert Image.open(picture).width > 1000


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("a", "--start", "50"), "start_time is 50.0 s, but the video ends at 12.0 s"),
        ((" ",), "query is empty"),
        (("a", "--method", "best"), "search.method is 'best'"),
        (("a", "--plot", "found.gif"), "--plot found.gif: the ending must be one of .png"),
    ],
)
def test_a_wrong_question_is_one_line(run, scenes_video, arguments, message):
    result = run("search", scenes_video, *arguments, "--json")
    assert result.exit_code == 1
    assert message in json.loads(result.stdout)["error"]


def test_a_bad_video_is_one_line(run, tmp_path):
    result = run("search", tmp_path / "none.mp4", "a")
    assert result.exit_code == 1
    assert "no such video file" in result.output
