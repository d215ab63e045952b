"""Sizes against qwen-vl-utils' own rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.sizes import frame_size, pixel_limits


@pytest.fixture(scope="module")
def qwen():
    """Imported outside of hypothesis, which traces every line."""
    from qwen_vl_utils import vision_process

    return vision_process


@settings(max_examples=100, deadline=None)
@given(
    st.integers(40, 4400),
    st.integers(28, 8000),
    st.integers(1, 384),
    st.sampled_from([14, 16]),
    st.sampled_from([None, 784, 12544, 100_352]),
    st.sampled_from([None, 120_000, 401_408]),
    st.sampled_from([None, 3584 * 784, 10**8]),
)
def test_same_sizes_as_qwen_vl_utils(qwen, height, width, pairs, patch, least, most, total):
    sampling = Sampling(min_pixels=least, max_pixels=most, total_pixels=total)
    frames = 2 * pairs
    try:
        low, high = pixel_limits(frames, sampling, patch)
    except ValueError:
        assert most < (least or 128 * (2 * patch) ** 2)
        return
    expected = qwen.smart_resize(height, width, 2 * patch, min_pixels=low, max_pixels=high)
    if 0 not in expected:  # qwen-vl-utils rounds a thin side down to nothing
        assert frame_size(height, width, frames, sampling, patch) == expected


def test_limits_are_those_of_qwen_vl_utils(qwen):
    area = 28 * 28
    low, high = pixel_limits(4, Sampling(), 14)
    assert (low, high) == (qwen.VIDEO_MIN_TOKEN_NUM * area, qwen.VIDEO_MAX_TOKEN_NUM * area)
    assert pixel_limits(768, Sampling(), 14)[1] == qwen.MODEL_SEQ_LEN * area * 0.9 / 768 * 2


@pytest.mark.parametrize(("patch", "area"), [(14, 784), (16, 1024)])
def test_limits_in_tokens_follow_the_patch(patch, area):
    in_tokens = Sampling(min_tokens=16, max_tokens=300, total_tokens=3584)
    in_pixels = Sampling(min_pixels=16 * area, max_pixels=300 * area, total_pixels=3584 * area)
    for frames in (4, 64, 768):
        expected = pixel_limits(frames, in_pixels, patch)
        assert pixel_limits(frames, in_tokens, patch) == expected


def test_contradicting_limits_name_both():
    message = r"max_pixels is 3136 but min_pixels is 100352 \(the default\); set min_pixels"
    with pytest.raises(ValueError, match=message):
        frame_size(360, 640, 4, Sampling(max_pixels=56 * 56))


def test_a_sliver_is_refused():
    with pytest.raises(ValueError, match="1000x4 pixels; one side may be at most 200 times"):
        frame_size(4, 1000, 4, Sampling())


def test_the_budget_follows_the_variable_of_qwen_vl_utils(monkeypatch):
    monkeypatch.setenv("MODEL_SEQ_LEN", "4096")
    assert pixel_limits(64, Sampling(min_pixels=784), 14)[1] == 4096 * 784 * 0.9 / 64 * 2
