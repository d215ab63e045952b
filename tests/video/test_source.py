"""Frames through `open_source`: the same as from `load_frames`, decoded once."""

import os
import pickle
import shutil
import time

import pytest
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video import decode, source
from temporal_plugin.video.decode import VideoError, load_frames
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.source import STORE_VARIABLE, MemorySource, open_source


@pytest.fixture(autouse=True)
def fresh_sources(monkeypatch):
    monkeypatch.delenv(STORE_VARIABLE, raising=False)
    source._open.cache_clear()
    yield
    source._open.cache_clear()


@pytest.fixture
def decodes(monkeypatch):
    """The paths that were really decoded."""
    done = []

    def load(path, *args, **kwargs):
        done.append(str(path))
        time.sleep(0.1)
        return load_frames(path, *args, **kwargs)

    monkeypatch.setattr(decode, "load_frames", load)
    return done


def test_what_it_returns_is_what_load_frames_returns(clock_video):
    sampling, clip = Sampling(fps=1.0), Span(1.0, 7.0)
    ours = open_source()(clock_video, sampling, clip=clip, patch_size=16)
    theirs = load_frames(clock_video, sampling, clip=clip, patch_size=16)
    assert torch.equal(ours.pixels, theirs.pixels)
    assert ours.metadata() == theirs.metadata()
    assert ours.clip == clip


def test_a_group_that_asks_at_once_decodes_once(clock_video, decodes, together):
    load = open_source()
    frames = together(8, lambda _: load(clock_video, Sampling()))
    assert len({id(item) for item in frames}) == 1
    assert open_source()(clock_video, Sampling()) is frames[0]  # another caller, later
    assert len(decodes) == 1


def test_other_settings_are_other_frames(clock_video, decodes):
    load = open_source()
    load(clock_video, Sampling())
    load(clock_video, Sampling(fps=1.0))
    load(clock_video, Sampling(), clip=Span(0.0, 4.0))
    load(clock_video, Sampling(), patch_size=16)
    assert len(decodes) == 4


def test_a_replaced_file_is_decoded_again(clock_video, tmp_path, decodes):
    path = shutil.copy(clock_video, tmp_path / "video.mp4")
    load = open_source()
    load(path, Sampling())
    os.utime(path, (1, 1))
    load(path, Sampling())
    assert len(decodes) == 2


def test_errors_are_those_of_load_frames_every_time(tmp_path):
    load = open_source()
    for _ in range(2):
        with pytest.raises(VideoError, match=r"gone.mp4: no such video file"):
            load(tmp_path / "gone.mp4", Sampling())


def test_little_memory_means_more_decoding_not_failure(clock_video, decodes):
    load = MemorySource(max_bytes=1000).load
    assert torch.equal(load(clock_video, Sampling()).pixels, load(clock_video, Sampling()).pixels)
    assert len(decodes) == 2


def test_a_source_can_be_sent_to_another_process(clock_video):
    load = pickle.loads(pickle.dumps(open_source()))
    assert len(load(clock_video, Sampling())) == 16


def test_a_folder_makes_it_a_store_that_other_processes_share(clock_video, tmp_path, decodes):
    load = open_source(tmp_path / "store")
    first = load(clock_video, Sampling())
    source._open.cache_clear()  # as in another process
    again = open_source(str(tmp_path / "store"))(clock_video, Sampling())
    assert torch.equal(first.pixels, again.pixels)
    assert len(decodes) == 1


def test_the_environment_names_the_folder_unless_the_caller_does(tmp_path, monkeypatch):
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "common"))
    assert open_source().__self__.folder == tmp_path / "common"
    assert open_source(tmp_path / "own").__self__.folder == tmp_path / "own"
    assert isinstance(open_source("").__self__, MemorySource)
    assert open_source() == open_source(str(tmp_path / "common"))
