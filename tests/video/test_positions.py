"""Position ids of Qwen2.5-VL against the rule of Qwen's own code, computed by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.video.positions import mrope_positions


def positions(types, video_grids=(), image_grids=(), seconds=(), tokens_per_second=2):
    return mrope_positions(
        types,
        image_grids,
        video_grids,
        seconds,
        tokens_per_second=tokens_per_second,
        merge_size=2,
    )


def test_text_counts_up_in_all_rows():
    assert positions([0, 0, 0]).tolist() == [[0, 1, 2]] * 3


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1.0, [0, 2, 4]),  # 2 sampled fps
        (2.0, [0, 4, 8]),  # 1 sampled fps
        (0.5, [0, 1, 2]),  # 4 sampled fps: upstream's int() makes this 0, 0, 0
        (1.03, [0, 2, 4]),  # 1.94 sampled fps: multiply first, truncate last
        (1.3, [0, 2, 5]),
    ],
)
def test_time_of_the_grids(seconds, expected):
    found = positions([2, 2, 2], video_grids=[(3, 2, 2)], seconds=[seconds])
    assert found[0].tolist() == expected


def test_text_after_a_video_continues_after_its_last_position():
    found = positions([0, 2, 2, 2, 0], video_grids=[(3, 2, 2)], seconds=[2.0])
    assert found[:, -1].tolist() == [1 + 8 + 1] * 3


def test_an_image_has_no_time():
    found = positions([0, 1, 1, 1, 1, 0], image_grids=[(1, 4, 4)])
    assert found.tolist() == [[0, 1, 1, 1, 1, 3], [0, 1, 1, 2, 2, 3], [0, 1, 2, 1, 2, 3]]


def test_two_videos_take_their_own_seconds():
    found = positions([2, 2, 0, 2, 2], video_grids=[(2, 2, 2), (2, 2, 2)], seconds=[1.0, 3.0])
    assert found[0].tolist() == [0, 2, 3, 4, 10]


def test_placeholders_and_grids_must_agree():
    with pytest.raises(ValueError, match="a run of 2 placeholders meets a grid"):
        positions([2, 2], video_grids=[(3, 2, 2)], seconds=[1.0])
    with pytest.raises(ValueError, match="more video runs than grids"):
        positions([2, 2])


@given(st.integers(1, 400), st.floats(0.01, 60), st.sampled_from([1, 2, 4, 25]))
def test_time_never_drifts(grids, seconds, tokens_per_second):
    """Whatever the length, a grid's position is its true time to within one position."""
    found = positions([2] * grids, [(grids, 2, 2)], (), [seconds], tokens_per_second)[0]
    truth = torch.arange(grids, dtype=torch.float64) * seconds * tokens_per_second
    assert ((truth - found) < 1 + 1e-6).all() and ((found - truth) < 1e-6).all()
