"""The frame store: what it returns, what it keeps, and what it does when the folder is bad."""

import errno
import json
import logging
import os
import pickle
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.decode import VideoError, load_frames
from temporal_plugin.video.frame_store import FrameStore, StoreError, names, store
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling

SAMPLING = Sampling(fps=1.0)


def same(ours: Frames, theirs: Frames) -> bool:
    return (
        torch.equal(ours.pixels, theirs.pixels)
        and np.array_equal(ours.pts_seconds, theirs.pts_seconds)
        and (ours.indices, ours.source_fps, ours.total_frames, ours.clip)
        == (theirs.indices, theirs.source_fps, theirs.total_frames, theirs.clip)
    )


def made_frames(path, sampling, *, clip=None, patch_size=14) -> Frames:
    """Frames that depend on all arguments, without a video in the file."""
    seed = hash((path.read_bytes(), sampling, clip, patch_size)) % 2**31
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 3, 28, 56), np.uint8)
    return Frames(torch.from_numpy(pixels), np.arange(4) / 3, (0, 1, 2, 3), 3.0, 4, clip)


@pytest.fixture
def decodes(monkeypatch):
    """Replaces the decoder by `made_frames`; the list of the files that it was asked for."""
    done = []

    def load(path, *args, **kwargs):
        done.append(path.name)
        return made_frames(path, *args, **kwargs)

    monkeypatch.setattr(decode, "load_frames", load)
    return done


@pytest.fixture
def video(tmp_path):
    """video(name): a small file that stands for a video."""

    def make(name="a"):
        path = tmp_path / f"{name}.mp4"
        path.write_text(name)
        return path

    return make


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def only_entry(folder):
    ((_, path),) = names.entries(folder)
    return path


def test_stored_frames_are_the_decoded_ones(tmp_path, clock_video):
    clip = Span(1.0, 7.0)
    fresh = load_frames(clock_video, SAMPLING, clip=clip, patch_size=16)
    for _ in range(2):  # built, then read
        folder = FrameStore(tmp_path / "store")
        assert same(folder.load(clock_video, SAMPLING, clip=clip, patch_size=16), fresh)
    assert same(folder.get(clock_video, SAMPLING, clip=clip, patch_size=16), fresh)
    assert folder.get(clock_video, SAMPLING) is None


def test_each_video_is_decoded_once(tmp_path, video, decodes):
    first, second = video("a"), video("b")
    for _ in range(3):
        frames = FrameStore(tmp_path / "store")
        for path in (first, second):
            assert same(frames.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert decodes == ["a.mp4", "b.mp4"]
    assert len(files(tmp_path / "store")) == 3  # two entries, the settings, nothing else


def test_whatever_changes_pixels_or_times_changes_the_key(tmp_path, video):
    folder, path = FrameStore(tmp_path / "store"), video()
    keys = [
        folder.key(path, SAMPLING),
        folder.key(path, Sampling(fps=2.0)),
        folder.key(path, SAMPLING, clip=Span(0, 1)),
        folder.key(path, SAMPLING, clip=Span(0, 2)),
        folder.key(path, SAMPLING, patch_size=16),
        folder.key(video("b"), SAMPLING),
        FrameStore(tmp_path / "jpeg", jpeg_quality=90).key(path, SAMPLING),
        FrameStore(tmp_path / "full", fingerprint="full").key(path, SAMPLING),
    ]
    assert len(set(keys)) == len(keys)
    os.utime(path, (1, 1))
    assert folder.key(path, SAMPLING) not in keys
    assert FrameStore(tmp_path / "full").key(path, SAMPLING) == keys[-1]  # content only


def test_a_full_fingerprint_sees_what_a_quick_one_may_miss(tmp_path):
    path = tmp_path / "video.mp4"
    content = bytearray(1 << 20)
    keys = {"quick": set(), "full": set()}
    for value in (0, 1):
        content[300_000] = value  # neither head, middle nor tail
        path.write_bytes(content)
        os.utime(path, (1, value if value == 0 else 1))
        for name, found in keys.items():
            found.add(FrameStore(tmp_path / name, fingerprint=name).key(path, SAMPLING))
    assert len(keys["full"]) == 2


def test_threads_share_one_decode_and_one_map(tmp_path, video, together, monkeypatch):
    done = []

    def slow(path, *args, **kwargs):
        done.append(path)
        time.sleep(0.2)
        return made_frames(path, *args, **kwargs)

    monkeypatch.setattr(decode, "load_frames", slow)
    folder, path = FrameStore(tmp_path / "store"), video()
    frames = together(8, lambda _: folder.load(path, SAMPLING))
    assert len(done) == 1
    assert len({item.pixels.data_ptr() for item in frames}) == 1


def test_the_pixels_are_mapped_and_writing_into_them_leaves_the_file_alone(
    tmp_path, video, decodes
):
    folder, path = FrameStore(tmp_path / "store"), video()
    frames = folder.load(path, SAMPLING)
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(only_entry(folder.folder)) in maps.read_text()
    frames.pixels.zero_()
    assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))


def test_errors_are_those_of_load_frames(tmp_path, clock_video):
    folder = FrameStore(tmp_path / "store")
    with pytest.raises(VideoError, match=r"gone.mp4: no such video file"):
        folder.load(tmp_path / "gone.mp4", SAMPLING)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    with pytest.raises(VideoError, match=r"broken.mp4"):
        folder.load(broken, SAMPLING)
    assert files(folder.folder) == ["frame_store.json"]  # no lock is left


def test_jpeg_says_its_error_and_gives_the_same_pixels_first_and_later(tmp_path, clock_video):
    folder = FrameStore(tmp_path / "store", jpeg_quality=95)
    exact = load_frames(clock_video, SAMPLING)
    first = folder.load(clock_video, SAMPLING)
    later = FrameStore(tmp_path / "store").load(clock_video, SAMPLING)  # quality from the folder
    assert same(first, later)
    error = (first.pixels.float() - exact.pixels.float()).abs()
    found = folder.stat()
    assert found.jpeg_mean_error == pytest.approx(error.mean().item(), abs=1e-4)
    assert found.jpeg_max_error == error.max().item()
    assert found.jpeg_mean_error < 2
    assert found.bytes < found.pixel_bytes / 4


def test_settings_belong_to_the_folder(tmp_path):
    FrameStore(tmp_path / "store", jpeg_quality=90, max_bytes=1000)
    assert FrameStore(tmp_path / "store").settings.jpeg_quality == 90
    assert FrameStore(tmp_path / "store", max_bytes=5).settings.max_bytes == 5
    assert FrameStore(tmp_path / "store").settings.max_bytes == 1000
    with pytest.raises(StoreError, match=r"has jpeg_quality 90, not 80; use another folder"):
        FrameStore(tmp_path / "store", jpeg_quality=80)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 99}', r"has format 99; this version of the package writes \d"),
        ("[]", "is damaged"),
        ("{", "is damaged .*; remove it"),
        ('{"format": 1}', "is damaged"),
    ],
)
def test_a_folder_of_another_version_is_refused(tmp_path, content, message):
    (tmp_path / "frame_store.json").write_text(content)
    with pytest.raises(StoreError, match=message):
        FrameStore(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bytes": 0}, "max_bytes is 0; it must be 1 or more"),
        ({"jpeg_quality": 101}, "jpeg_quality is 101; allowed: 1 to 100"),
        ({"fingerprint": "name"}, "fingerprint is 'name'; allowed: quick, full"),
        ({"memory_bytes": -1}, "max_bytes is -1"),
    ],
)
def test_bad_settings_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        FrameStore(tmp_path / "store", **options)


def test_the_entry_used_longest_ago_makes_room(tmp_path, video, decodes):
    folder = FrameStore(tmp_path / "store", max_bytes=65_000)  # three entries of 18,816 + header
    paths = [video(name) for name in "abcd"]
    for age, path in enumerate(paths[:3]):
        folder.load(path, SAMPLING)
        entry = names.entry_path(folder.folder, folder.key(path, SAMPLING))
        os.utime(entry, (time.time() - 1000 + age, 1))
    folder._trusted.clear()
    folder.load(paths[0], SAMPLING)  # the oldest, now used again
    folder.load(paths[3], SAMPLING)
    there = [path.stem for path in paths if folder.get(path, SAMPLING) is not None]
    assert there == ["a", "c", "d"]
    assert decodes == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert folder.stat().bytes <= 65_000


def test_removed_entries_stay_with_those_who_have_them(tmp_path, video, decodes):
    folder, path = FrameStore(tmp_path / "store"), video()
    folder.load(path, SAMPLING)
    frames = FrameStore(tmp_path / "store").get(path, SAMPLING)
    assert folder.prune(unused_seconds=0).removed == 1
    assert files(folder.folder) == ["frame_store.json"]
    assert same(frames, made_frames(path, SAMPLING))


def test_prune_keeps_what_was_used_just_now_if_asked_to(tmp_path, video, decodes):
    folder = FrameStore(tmp_path / "store", keep_seconds=600)
    folder.load(video(), SAMPLING)
    assert folder.prune(max_bytes=1).kept == 1
    entry = only_entry(folder.folder)
    os.utime(entry, (time.time() - 700, 1))
    assert folder.prune(max_bytes=1).removed == 1


def test_a_video_larger_than_the_store_is_kept_in_memory(tmp_path, video, decodes, caplog):
    folder, path = FrameStore(tmp_path / "store", max_bytes=1000), video()
    for _ in range(3):
        assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert decodes == ["a.mp4"]
    assert caplog.text.count("more than the frame store may hold") == 1


@pytest.mark.parametrize("moment", ["mkdir", "write", "rename"])
def test_a_full_disk_costs_one_warning(tmp_path, video, decodes, caplog, monkeypatch, moment):
    folder, paths = FrameStore(tmp_path / "store"), [video(name) for name in "abc"]

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "write":
        monkeypatch.setattr(store.entry, "write", full)
    else:
        name = {"mkdir": "mkdir", "rename": "replace"}[moment]
        monkeypatch.setattr(type(tmp_path), name, full)
    for _ in range(2):
        for path in paths:
            assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert decodes == ["a.mp4", "b.mp4", "c.mp4"]  # the second round came from memory
    assert caplog.text.count("cannot be written") == 1
    assert "No space left on device" in caplog.text
    assert files(folder.folder) == ["frame_store.json"]


def test_it_tries_again_once_there_may_be_space(tmp_path, video, decodes, monkeypatch):
    folder, path = FrameStore(tmp_path / "store"), video()
    with monkeypatch.context() as patch:
        patch.setattr(store.entry, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        folder.load(path, SAMPLING)
    folder.load(video("b"), SAMPLING)
    assert folder.stat().entries == 0
    folder._unwritable_until = 0.0
    folder.load(video("c"), SAMPLING)
    assert folder.stat().entries == 1


def test_a_real_full_disk(tmp_path, video, decodes, caplog):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        folder = FrameStore(small / "store")
        paths = [video(f"video{number}") for number in range(8)]
        for path in [*paths, *paths]:
            assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
        assert len(decodes) == len(paths)
        assert caplog.text.count("cannot be written") == 1
        assert 0 < folder.verify().entries < len(paths)
        assert folder.verify().damaged == []
        del folder
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_read_only_store_is_read(tmp_path, video, decodes, caplog, monkeypatch):
    path = video()
    FrameStore(tmp_path / "store").load(path, SAMPLING)

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "replace", "unlink", "write_text"):
        monkeypatch.setattr(type(tmp_path), name, refuse)
    monkeypatch.setattr(os, "utime", refuse)
    folder = FrameStore(tmp_path / "store")
    assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert (decodes, caplog.text) == (["a.mp4"], "")
    entry = only_entry(folder.folder)
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)
    for _ in range(2):  # a damaged entry that cannot be replaced
        assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert decodes == ["a.mp4", "a.mp4"]


def test_a_folder_that_cannot_be_made_costs_one_warning(tmp_path, video, decodes, caplog):
    (tmp_path / "file").write_text("not a folder")
    folder, path = FrameStore(tmp_path / "file" / "store"), video()
    for _ in range(2):
        assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert decodes == ["a.mp4"]
    assert caplog.text.count("cannot be written") == 1


def test_a_flipped_byte_is_found_and_the_entry_rebuilt(tmp_path, video, decodes, caplog):
    folder, path = FrameStore(tmp_path / "store"), video()
    folder.load(path, SAMPLING)
    entry = only_entry(folder.folder)
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 0x10
    entry.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        # the same process, which has checked the file before
        assert same(folder.load(path, SAMPLING), made_frames(path, SAMPLING))
    assert "its bytes add up to another sum; it is decoded again" in caplog.text
    assert folder.verify().damaged == []
    assert decodes == ["a.mp4", "a.mp4"]


def test_verify_finds_a_flipped_byte_and_removes_the_entry(tmp_path, video, decodes):
    folder, paths = FrameStore(tmp_path / "store"), [video("a"), video("b")]
    for path in paths:
        folder.load(path, SAMPLING)
    entry = names.entry_path(folder.folder, folder.key(paths[0], SAMPLING))
    content = bytearray(entry.read_bytes())
    content[-3] ^= 1
    entry.write_bytes(content)
    seen = []
    found = folder.verify(lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert found.entries == 1
    assert len(found.damaged) == 1 and entry.stem in found.damaged[0]
    assert folder.verify().damaged == []
    assert folder.get(paths[0], SAMPLING) is None
    assert folder.get(paths[1], SAMPLING) is not None


def test_an_entry_under_another_name_is_not_believed(tmp_path, video, decodes):
    folder, first, second = FrameStore(tmp_path / "store"), video("a"), video("b")
    folder.load(first, SAMPLING)
    wrong = names.entry_path(folder.folder, folder.key(second, SAMPLING))
    wrong.parent.mkdir(exist_ok=True)
    shutil.copy(only_entry(folder.folder), wrong)
    assert same(folder.load(second, SAMPLING), made_frames(second, SAMPLING))


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "/", None])
def test_no_name_leaves_the_folder(tmp_path, key):
    with pytest.raises(
        (ValueError, TypeError), match=r"is no key of a frame store|expected string"
    ):
        names.entry_path(tmp_path, key)


def test_stranger_files_are_never_touched(tmp_path, video, decodes):
    folder = FrameStore(tmp_path / "store")
    folder.load(video(), SAMPLING)
    strangers = ["notes.txt", "ab/model.safetensors", "ab/other.lock", f"zz/{'a' * 64}.safetensors"]
    for name in strangers:
        file = folder.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
        os.utime(file, (1, 1))
    folder.verify()
    folder.prune(max_bytes=1, unused_seconds=0)
    assert files(folder.folder) == sorted(["frame_store.json", *strangers])


def test_a_store_can_be_sent_to_another_process(tmp_path, video, decodes):
    folder, path = FrameStore(tmp_path / "store", max_bytes=10**6, keep_seconds=5.0), video()
    folder.load(path, SAMPLING)
    load = pickle.loads(pickle.dumps(folder.load))
    assert same(load(path, SAMPLING), made_frames(path, SAMPLING))
    assert (load.__self__.settings, load.__self__.keep_seconds) == (folder.settings, 5.0)
    assert decodes == ["a.mp4"]


def test_stat_counts(tmp_path, video, decodes):
    folder = FrameStore(tmp_path / "store", max_bytes=10**6)
    for name in "ab":
        folder.load(video(name), SAMPLING)
    found = folder.stat()
    assert (found.entries, found.frames, found.pixel_bytes) == (2, 8, 2 * 4 * 3 * 28 * 56)
    assert found.bytes == sum(path.stat().st_size for _, path in names.entries(folder.folder))
    assert (found.max_bytes, found.jpeg_quality, found.unreadable) == (10**6, None, 0)
    only = next(names.entries(folder.folder))[1]
    only.write_bytes(b"\0" * 100)
    assert (folder.stat().entries, folder.stat().unreadable) == (1, 1)
    assert json.loads((folder.folder / "frame_store.json").read_text())["max_bytes"] == 10**6
