"""The hosts' own formulas, given our clock, return the frames' real times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.video.timing import (
    clock_metadata,
    seconds_per_step,
    step_seconds,
    text_timestamps,
)

gaps = st.lists(st.floats(0.01, 30.0), min_size=1, max_size=64)


@settings(deadline=None)
@given(gaps=gaps, first=st.floats(0.0, 10.0))
def test_the_clock_gives_the_times_back(gaps, first):
    times = first + np.concatenate([[0.0], np.cumsum(gaps)])
    told = clock_metadata(times)
    # Qwen3-VL: frame number / frame rate
    assert np.abs(np.array(told["frames_indices"]) / told["fps"] - times).max() < 1e-5
    # Qwen2.5-VL: frames per step / (frames / total * rate)
    sampled_fps = len(times) / told["total_num_frames"] * told["fps"]
    assert 2 / sampled_fps == pytest.approx(seconds_per_step(times), abs=1e-4)


def test_even_times_are_told_exactly():
    for fps in (0.5, 1.0, 2.0, 4.0):
        told = clock_metadata(np.arange(20) / fps)
        assert np.float32(2 / (20 / told["total_num_frames"] * told["fps"])) == 2 / fps


def test_steps_are_pairs_of_frames():
    assert step_seconds(np.array([0.0, 0.5, 1.0, 1.5])).tolist() == [0.25, 1.25]
    assert step_seconds(np.array([0.0, 0.5, 1.0])).tolist() == [0.25, 1.0]


def test_the_hosts_read_them_so():
    transformers = pytest.importorskip("transformers")
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

    times = np.array([0.0, 0.4, 1.1, 2.0, 2.7, 3.9])
    told = clock_metadata(times)
    metadata = transformers.video_utils.VideoMetadata(**told)
    assert 2 / metadata.sampled_fps == pytest.approx(seconds_per_step(times), abs=1e-5)
    found = Qwen3VLProcessor._calculate_timestamps(None, told["frames_indices"], told["fps"], 2)
    assert found == pytest.approx(step_seconds(times).tolist(), abs=1e-5)


def test_a_still_lasts_a_second():
    assert seconds_per_step(np.array([0.0, 0.0])) == 1.0
    assert seconds_per_step(np.array([3.0])) == 1.0


def test_text():
    assert text_timestamps([0.0, 12.34]) == ["<0.0 seconds>", "<12.3 seconds>"]
