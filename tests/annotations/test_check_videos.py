import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from temporal_plugin.annotations import Sample, check
from temporal_plugin.annotations.check import check_videos
from temporal_plugin.annotations.probe import probe

av = pytest.importorskip("av", reason="checking videos needs PyAV")


@pytest.fixture
def video(resources, tmp_path):
    return Path(shutil.copy(resources / "videos" / "AB123.mp4", tmp_path / "good.mp4"))


def sample(path, n=0):
    return Sample(id=f"s/{path}/{n}", task="open", video=str(path), query="q")


def write_sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_every_problem_is_listed_once_with_its_samples(video, tmp_path):
    (tmp_path / "junk.mp4").write_bytes(bytes(range(256)) * 50)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    write_sound(tmp_path / "sound.mp4")
    names = ["junk", "good", "none", "empty", "folder", "sound"]
    rows = [sample(tmp_path / f"{name}.mp4", n) for name in names for n in range(2)]
    problems = check_videos(rows)
    assert [problem.path for problem in problems] == [
        str(tmp_path / f"{name}.mp4") for name in names if name != "good"
    ]
    assert [problem.samples for problem in problems] == [2] * 5
    assert all(problem.remedy for problem in problems)
    reasons = [problem.reason.split(" (")[0] for problem in problems]
    assert reasons == [
        "cannot be decoded",
        "missing",
        "empty file",
        "not a regular file",
        "no video stream",
    ]


def test_a_file_cut_short(video, tmp_path):
    content = video.read_bytes()
    path = tmp_path / "cut.mp4"
    # The index is at the end of this file, and a few bytes of tags behind it.
    for size in range(0, len(content) * 3 // 4, 50):
        path.write_bytes(content[:size])
        assert probe(str(path)) is not None


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert probe(str(tmp_path / "pipe.mp4"))[0] == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(video):
    video.chmod(0)
    assert probe(str(video))[0] == "no permission to read"


def test_a_playlist_does_not_reach_out(tmp_path):
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/v.mp4\n#EXT-X-ENDLIST\n")
    assert probe(str(path))[0].startswith("cannot be decoded")


@pytest.mark.parametrize("name", ["a\0b.mp4", "x" * 300 + ".mp4", "\udcff\ud800.mp4"])
def test_names_that_no_file_can_have(tmp_path, name):
    assert probe(f"{tmp_path}/{name}")[0].startswith(("cannot be reached", "missing"))


def test_the_remedy_sees_the_file_with_another_extension(video):
    reason, remedy = probe(str(video.with_suffix(".mkv")))
    assert (reason, remedy) == ("missing", "good.mp4 exists: set `video_extension: .mp4`")


def test_the_remedy_names_a_folder_that_is_not_there(tmp_path):
    assert f"{tmp_path / 'no'} does not exist" in probe(str(tmp_path / "no" / "v.mp4"))[1]


def test_each_file_is_opened_once(video, monkeypatch):
    opened = []
    monkeypatch.setattr(check, "probe", lambda path: opened.append(path))
    seen = []
    rows = [sample(f"v{n % 3}.mp4", n) for n in range(30)]
    assert check_videos(rows, on_progress=lambda *args: seen.append(args)) == []
    assert sorted(opened) == ["v0.mp4", "v1.mp4", "v2.mp4"]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_no_samples_no_problems():
    assert check_videos([]) == []


@pytest.mark.parametrize(("after", "drawn"), [(0.0, True), (60.0, False)])
def test_the_bar_appears_only_when_it_takes_long(video, monkeypatch, after, drawn):
    monkeypatch.setattr(check, "BAR_AFTER_SECONDS", after)
    text = io.StringIO()
    check_videos([sample(video)], console=Console(file=text, force_terminal=True))
    assert ("checking videos" in text.getvalue()) is drawn


def test_the_pip_command_is_named_without_pyav(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="pip install"):
        check_videos([])


def test_a_failing_callback_stops_the_check(video):
    def fail(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_videos([sample(video)], on_progress=fail)


def test_real_videos(shared):
    paths = sorted((shared / "data" / "videos").glob("*.mp4"))
    assert paths
    assert check_videos([sample(path) for path in paths]) == []
