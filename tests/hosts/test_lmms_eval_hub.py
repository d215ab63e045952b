"""Downloads on request. The hub itself is a mock: it cannot be reached from a test."""

import zipfile

import huggingface_hub
import pytest

pytest.importorskip("lmms_eval")

from temporal_plugin.integrations import lmms_eval_hub as hub
from temporal_plugin.integrations.lmms_eval_source import Source

SOURCE = {"format": "jsonl", "annotations": "set/rows.jsonl", "hub": "someone/set"}


@pytest.fixture
def repository(monkeypatch, tmp_path):
    """A mocked hub with one repository: a file and an archive of a video; the calls it got."""
    calls = []

    def snapshot_download(name, *, repo_type, local_dir):
        calls.append((name, repo_type))
        (local_dir / "parts").mkdir(parents=True, exist_ok=True)
        (local_dir / "rows.jsonl").write_text("{}\n")
        with zipfile.ZipFile(local_dir / "parts/videos.zip", "w") as archive:
            archive.writestr("data/a.mp4", b"video")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    monkeypatch.delenv(hub.DOWNLOAD_SETTING, raising=False)
    return calls


def test_nothing_is_downloaded_unless_asked_for(repository, tmp_path):
    source = Source.from_mapping(SOURCE, task="t")
    source.download()
    assert repository == []
    message = r"no annotation file at .*TEMPORAL_PLUGIN_DOWNLOAD=1 to download someone/set"
    with pytest.raises(FileNotFoundError, match=message):
        source.annotation_file()


def test_what_is_asked_for_lies_where_the_task_looks(repository, tmp_path, monkeypatch):
    monkeypatch.setenv(hub.DOWNLOAD_SETTING, "1")
    source = Source.from_mapping(SOURCE, task="t")
    source.download()
    assert repository == [("someone/set", "dataset")]
    assert source.annotation_file() == tmp_path / "set/rows.jsonl"
    video = tmp_path / "set/parts/data/a.mp4"
    assert video.read_bytes() == b"video"
    video.write_bytes(b"kept")
    source.download()
    assert len(repository) == 1
    hub.unpack(tmp_path / "set/parts/videos.zip")  # not a second time
    assert video.read_bytes() == b"kept"


def test_a_task_without_a_repository_is_left_alone(repository, monkeypatch):
    monkeypatch.setenv(hub.DOWNLOAD_SETTING, "1")
    Source.from_mapping({**SOURCE, "hub": None}, task="t").download()
    assert repository == []


def test_no_archive_leaves_its_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../outside.txt", "x")
    with pytest.raises(ValueError, match=r"'\.\./outside\.txt', which leads out of its folder"):
        hub.unpack(tmp_path / "bad.zip")
    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"bad\.zip is damaged .*delete it and run again"):
        hub.unpack(tmp_path / "bad.zip")
