"""Embeddings in a folder: streamed, resumed, shared, checked, and right whatever happens."""

import logging
import mmap
import multiprocessing
import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from temporal_plugin.search import embedding_store
from temporal_plugin.search.embed import load_encoder
from temporal_plugin.search.embedding_store import EmbeddingStore, embedding_plan
from temporal_plugin.video import decode, tensor_file
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.plan import plan_frames
from temporal_plugin.video.sampling import Sampling

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def long_video(write_video, tmp_path_factory):
    """75 s at 8 fps, each second of another colour: 150 frames at 2 fps, more than a block."""
    colours = np.random.default_rng(0).integers(0, 256, (75, 3), dtype=np.uint8)
    frames = np.repeat(colours, 8, axis=0)[:, None, None, :]
    frames = np.broadcast_to(frames, (600, 32, 48, 3)).copy()
    return write_video(tmp_path_factory.mktemp("video") / "long.mp4", frames, 8)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(embedding_store, "BLOCK_FRAMES", 16)


def files(store):
    """Names of what the folder holds."""
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*"))


class Counting:
    """An encoder that counts, and may fail after some pictures."""

    def __init__(self, encoder, fails_after=None):
        self.encoder, self.fails_after, self.seen = encoder, fails_after, 0
        self.fingerprint, self.dimensions = encoder.fingerprint, encoder.dimensions

    def stream(self, pictures):
        for rows in self.encoder.stream(pictures):
            self.seen += len(rows)
            if self.fails_after is not None and self.seen > self.fails_after:
                raise KeyboardInterrupt
            yield rows


def expected(video, encoder, fps=2.0):
    """The vectors of all frames at once, without a store."""
    planned = embedding_plan(video, fps)
    pictures = np.stack([picture.copy() for picture in decode.pictures(planned)])
    return encoder.images(pictures.transpose(0, 3, 1, 2)), planned.pts_seconds


def test_they_are_those_of_the_frames_nearest_to_the_grid(encoder, long_video, tmp_path):
    found = EmbeddingStore(tmp_path).get(long_video, encoder, 2.0)
    rows, times = expected(long_video, encoder)
    np.testing.assert_allclose(found.features, rows, atol=1e-6)
    assert found.pts_seconds.tolist() == times.tolist() == [k / 2 for k in range(150)]
    assert found.indices.tolist() == [4 * k for k in range(150)]
    assert found.features.dtype == np.float32
    assert len(found) == 150


@pytest.mark.parametrize("fps, count", [(0.1, 8), (1.0, 75), (5.0, 375), (100.0, 600)])
def test_any_frame_rate_takes_each_frame_once(encoder, long_video, fps, count):
    planned = embedding_plan(long_video, fps)
    assert len(planned) == count
    assert (np.diff(planned.indices) > 0).all()


def test_a_video_of_one_frame_has_one(encoder, write_video, tmp_path):
    video = write_video(tmp_path / "one.mp4", np.zeros((1, 32, 32, 3), np.uint8))
    assert len(EmbeddingStore(tmp_path).get(video, encoder)) == 1


def test_what_is_stored_is_mapped_and_not_made_again(encoder, long_video, tmp_path):
    first = EmbeddingStore(tmp_path).get(long_video, encoder)
    counting = Counting(encoder)
    again = EmbeddingStore(tmp_path).get(long_video, counting)
    assert counting.seen == 0
    assert np.array_equal(first.features, again.features)
    owner = again.features
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert isinstance(owner.obj, mmap.mmap)


def test_video_encoder_and_frame_rate_make_another_entry(encoder, long_video, tmp_path):
    store = EmbeddingStore(tmp_path)
    store.get(long_video, encoder, 1.0)
    assert store.has(long_video, encoder.fingerprint, 1.0)
    assert not store.has(long_video, encoder.fingerprint, 2.0)
    assert not store.has(long_video, "another", 1.0)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(long_video.read_bytes() + b"\0")
    assert not store.has(copy, encoder.fingerprint, 1.0)
    assert not store.has(tmp_path / "none.mp4", encoder.fingerprint, 1.0)
    assert store.key(long_video, "a", 1) == store.key(long_video, "a", 1.0)


def test_it_may_share_the_folder_of_a_frame_store(encoder, long_video, tmp_path):
    from temporal_plugin.video.frame_store import FrameStore

    frames = FrameStore(tmp_path)
    frames.load(long_video, Sampling(max_frames=4, min_pixels=28 * 28, max_pixels=28 * 28))
    store = EmbeddingStore(tmp_path)
    store.get(long_video, encoder, 1.0)
    assert (frames.stat().entries, frames.stat().unreadable, frames.stat().left_behind) == (1, 0, 0)
    assert frames.verify().entries == 1
    frames.prune(max_bytes=0)
    assert frames.stat().entries == 0
    assert store.has(long_video, encoder.fingerprint, 1.0)


def test_a_broken_off_build_goes_on_and_gives_the_same_bits(
    encoder, long_video, tmp_path, small_blocks, caplog
):
    whole = EmbeddingStore(tmp_path / "whole").get(long_video, encoder)
    store, failing = EmbeddingStore(tmp_path / "parts"), Counting(encoder, 60)
    with pytest.raises(KeyboardInterrupt):
        store.get(long_video, failing)
    assert sum(".blocks/" in name for name in files(store)) == 3  # of 16 frames each
    assert not any(name.endswith((".lock", ".tmp")) for name in files(store))
    counting, steps = Counting(encoder), []
    with caplog.at_level(logging.INFO):
        found = store.get(long_video, counting, on_progress=lambda *step: steps.append(step))
    assert counting.seen == 150 - 48
    assert "going on after 48 of 150 frames" in caplog.text
    assert steps[-1] == (150, 150)
    assert found.features.tobytes() == whole.features.tobytes()
    assert len(files(store)) == 2  # the entry and its folder; no parts are left


def test_a_damaged_part_is_made_again(encoder, long_video, tmp_path, small_blocks, caplog):
    whole = EmbeddingStore(tmp_path / "whole").get(long_video, encoder)
    store = EmbeddingStore(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        store.get(long_video, Counting(encoder, 100))
    parts = sorted(store.folder.rglob("*.blocks/*.safetensors"))
    content = bytearray(parts[2].read_bytes())
    content[-5] ^= 1
    parts[2].write_bytes(content)
    counting = Counting(encoder)
    found = store.get(long_video, counting)
    assert counting.seen == 150 - 32
    assert "its bytes add up to another sum; it is made again" in caplog.text
    assert found.features.tobytes() == whole.features.tobytes()


def test_parts_of_a_wrong_shape_are_not_used(encoder, long_video, tmp_path, small_blocks):
    store = EmbeddingStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.get(long_video, Counting(encoder, 40))
    part = min(store.folder.rglob("*.blocks/*.safetensors"))
    _, about = tensor_file.read(part)
    tensors = {"features": np.zeros((16, 7), np.float32)}
    rest = {name: about[name] for name in ("format", "key", "start")}
    with part.open("wb") as file:
        tensor_file.write(tensors, tensor_file.describe(rest, tensors), file)
    counting = Counting(encoder)
    store.get(long_video, counting)
    assert counting.seen == 150


@pytest.mark.parametrize("place", [20, -5])
def test_a_damaged_entry_is_made_again(encoder, long_video, tmp_path, caplog, place):
    store = EmbeddingStore(tmp_path)
    before = store.get(long_video, encoder).features.tobytes()
    entry = next(store.folder.rglob("*.safetensors"))
    content = bytearray(entry.read_bytes())
    content[place] ^= 1
    entry.unlink()  # a new file: the old one is still mapped
    entry.write_bytes(content)
    counting = Counting(encoder)
    assert EmbeddingStore(tmp_path).get(long_video, counting).features.tobytes() == before
    assert counting.seen == 150
    assert "it is made again" in caplog.text


def test_a_file_of_another_entry_is_not_taken_for_this_one(encoder, long_video, tmp_path):
    store = EmbeddingStore(tmp_path)
    store.get(long_video, encoder, 1.0)
    one = next(store.folder.rglob("*.safetensors"))
    store.get(long_video, encoder, 2.0)
    other = next(path for path in store.folder.rglob("*.safetensors") if path != one)
    one.replace(other)
    assert len(EmbeddingStore(tmp_path).get(long_video, encoder, 2.0)) == 150


def test_threads_wait_for_one_build(encoder, long_video, tmp_path):
    store, counting = EmbeddingStore(tmp_path), Counting(encoder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: store.get(long_video, counting), range(4)))
    assert counting.seen == 150
    assert all(np.array_equal(one.features, found[0].features) for one in found)


def build(folder, video, siglip, pause, results):
    """What another process does; slowly, so that others meet it."""
    encoder = Counting(load_encoder(siglip, "cpu", batch_size=8))
    stream = encoder.stream

    def slow(pictures):
        for rows in stream(pictures):
            time.sleep(pause)
            yield rows

    encoder.stream = slow
    found = EmbeddingStore(folder).get(video, encoder)
    results.put((encoder.seen, found.features.tobytes()))


@pytest.mark.slow
def test_processes_do_not_tear_each_others_files(encoder, siglip_folder, long_video, tmp_path):
    """One is killed in the middle; of the others one goes on, and all read the same."""
    results = SPAWN.Queue()
    arguments = (tmp_path, long_video, siglip_folder)
    killed = SPAWN.Process(target=build, args=(*arguments, 0.3, results))
    killed.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.blocks/*.safetensors")):
        assert killed.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    others = [SPAWN.Process(target=build, args=(*arguments, 0.0, results)) for _ in range(3)]
    for process in others:
        process.start()
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(60)  # until then its process number is taken
    found = [results.get(timeout=120) for _ in others]
    for process in others:
        process.join(60)
    assert sorted(seen for seen, _ in found) == [0, 0, 150 - 128]
    assert len({content for _, content in found}) == 1
    whole = EmbeddingStore(tmp_path / "whole")
    rows = whole.get(long_video, load_encoder(siglip_folder, "cpu", batch_size=8)).features
    assert rows.tobytes() == found[0][1]


def test_a_folder_that_cannot_be_written_costs_only_time(encoder, long_video, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    store, counting = EmbeddingStore(tmp_path / "file"), Counting(encoder)
    found = store.get(long_video, counting)
    np.testing.assert_allclose(found.features, expected(long_video, encoder)[0], atol=1e-6)
    store.get(long_video, counting)
    assert counting.seen == 150  # kept in memory
    assert caplog.text.count("cannot be written") == 1


def test_a_full_disk_costs_only_time(encoder, long_video, tmp_path, small_blocks, monkeypatch):
    def write(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensor_file, "write", write)
    store = EmbeddingStore(tmp_path)
    assert len(store.get(long_video, encoder)) == 150
    assert not any(name.endswith((".tmp", ".safetensors", ".lock")) for name in files(store))


def test_a_bad_video_leaves_nothing_behind(encoder, long_video, tmp_path):
    store = EmbeddingStore(tmp_path / "store")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(long_video.read_bytes()[:3000])
    for path, reason in ((cut, "cannot be decoded"), (tmp_path / "none.mp4", "no such video file")):
        with pytest.raises(VideoError, match=reason):
            store.get(path, encoder)
    assert files(store) == []


def test_it_travels_to_other_processes(encoder, long_video, tmp_path):
    store = EmbeddingStore(tmp_path, fingerprint="full")
    again = pickle.loads(pickle.dumps(store))
    assert again.key(long_video, "a", 2.0) == store.key(long_video, "a", 2.0)
    assert again.key(long_video, "a", 2.0) != EmbeddingStore(tmp_path).key(long_video, "a", 2.0)


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(encoder, long_video, tmp_path, fps):
    with pytest.raises(ValueError, match="it must be above 0 frames per second"):
        EmbeddingStore(tmp_path).get(long_video, encoder, fps)


@pytest.mark.parametrize("indices", [[], [3, 2], [1, 1], [-1, 2], [600]])
def test_a_plan_of_frames_that_are_not_there_is_refused(long_video, indices):
    with pytest.raises(VideoError, match="rising numbers from 0 to 599"):
        plan_frames(long_video, indices, Sampling())
