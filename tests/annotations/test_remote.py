import json
import sys
from pathlib import Path

import pytest

from temporal_plugin.annotations import AnnotationError, load, load_samples, remote
from temporal_plugin.annotations.fetching import fetch_videos

fsspec = pytest.importorskip("fsspec", reason="remote paths need fsspec")
ROW = {"id": "a", "task": "open", "video": "sub/v.mp4", "query": "q"}


@pytest.fixture
def far(monkeypatch, tmp_path):
    """A file system that is not this computer's, and a cache folder of its own."""
    monkeypatch.setenv(remote.CACHE_SETTING, str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pipe("/data/rows.jsonl", (json.dumps(ROW) + "\n").encode())
    system.pipe("/data/videos/sub/v.mp4", b"pixels")
    yield system
    system.store.clear()


def config_for(path, folder="memory://data/videos"):
    return f"datasets:\n  - json_path: {path}\n    data_folder: {folder}\n"


def test_a_remote_file_is_read_from_a_copy(far, write_config, tmp_path, monkeypatch):
    path = write_config(config_for("memory://data/rows.jsonl", "videos"))
    first = load(path)
    assert first.samples[0].video == str(tmp_path / "videos/sub/v.mp4")
    assert first.reports[0].path == "memory://data/rows.jsonl"
    copies = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert [copy.name for copy in copies] == ["rows.jsonl"]
    monkeypatch.setattr(remote, "fetch", lambda *_: pytest.fail("copied a second time"))
    assert load_samples(path) == first.samples


def test_a_file_that_changed_at_its_origin_is_copied_anew(far, write_config):
    path = write_config(config_for("memory://data/rows.jsonl", "videos"))
    load(path)
    far.pipe("/data/rows.jsonl", (json.dumps({**ROW, "id": "another"}) + "\n").encode())
    assert load_samples(path)[0].id == "another"


def test_errors_name_the_address_and_not_the_copy(far, write_config, tmp_path):
    far.pipe("/data/rows.jsonl", b'{"id": 3}\n{broken\n')
    path = write_config(config_for("memory://data/rows.jsonl", "videos"))
    with pytest.raises(AnnotationError) as caught:
        load(path)
    assert str(caught.value).startswith("memory://data/rows.jsonl:1: field 'task': missing")
    errors = load(path, collect_errors=True).reports[0].errors
    assert [error.where for error in errors] == [f"memory://data/rows.jsonl:{n}" for n in (1, 2)]
    assert "cache" not in str(errors)
    far.pipe("/data/rows.jsonl", b"\xff\xfe")
    with pytest.raises(AnnotationError, match=r"^memory://data/rows\.jsonl:1: not text"):
        load(path)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("memory://data/none.jsonl", "FileNotFoundError"),
        ("nosuch://data/rows.jsonl", "ValueError.*nosuch"),
    ],
)
def test_an_address_that_cannot_be_reached(far, write_config, url, problem):
    with pytest.raises(AnnotationError, match=rf"^{url}: cannot be fetched \({problem}.*remedy"):
        load(write_config(config_for(url, "videos")))


def test_videos_behind_a_url_are_looked_for_among_the_copies(far, write_config):
    path = write_config(config_for("memory://data/rows.jsonl"))
    [sample] = load_samples(path)
    assert sample.video == str(remote.cache_folder("memory://data/videos") / "sub/v.mp4")


def test_remote_videos_are_fetched_once(far, write_config, monkeypatch):
    path = write_config(config_for("memory://data/rows.jsonl"))
    seen = []
    assert fetch_videos(path, on_progress=lambda *args: seen.append(args)) == (1, [])
    assert seen == [(1, 1)]
    [sample] = load_samples(path)
    assert Path(sample.video).read_bytes() == b"pixels"
    assert fetch_videos(path) == (0, [])
    Path(sample.video).unlink()
    far.rm("/data/videos/sub/v.mp4")
    fetched, [problem] = fetch_videos(path)
    assert fetched == 0
    assert str(problem).startswith("memory://data/videos/sub/v.mp4: cannot be fetched")


def test_a_copy_is_whole_or_not_there(far, tmp_path, monkeypatch):
    def break_off(source, target, size):
        target.write(source.read(3))
        raise OSError("connection lost")

    monkeypatch.setattr(remote.shutil, "copyfileobj", break_off)
    with pytest.raises(AnnotationError, match="connection lost"):
        remote.fetch("memory://data/videos/sub/v.mp4", tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


def test_relative_rows_of_a_remote_file_need_a_folder(far, write_config):
    path = write_config("datasets:\n  - json_path: memory://data/rows.jsonl\n")
    with pytest.raises(AnnotationError, match="'data_folder': missing"):
        load(path)


def test_without_fsspec_the_pip_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"pip install 'temporal-plugin\[remote\]'"):
        remote.local_copy("s3://bucket/rows.jsonl")
