"""The frames that show an answer: their times and pictures."""

import numpy as np
import pytest

from temporal_plugin.annotations import Sample
from temporal_plugin.answers import parse
from temporal_plugin.integrations import lmms_eval_keyframes as keyframes
from temporal_plugin.video.errors import VideoError


def sample(video="none.mp4", **extra):
    return Sample(id="a", task="open", video=str(video), query="q", answer="x", extra=extra)


def test_frames_by_number_get_the_time_at_which_they_are_shown(clock_video):
    found = keyframes.true_seconds(sample(clock_video, position=[0, 25, 9999]))
    assert found == pytest.approx([0.0, 2.5, 7.9])


def test_given_seconds_need_no_video():
    assert keyframes.true_seconds(sample(keyframe_seconds=[3, 4.5])) == [3.0, 4.5]


def test_whether_frames_are_known():
    assert keyframes.are_known(sample(keyframe_seconds=[1]))
    assert keyframes.are_known(sample(position=[1]))
    assert not keyframes.are_known(sample(position=[]))
    assert not keyframes.are_known(sample())


def test_a_predicted_time_is_the_middle_of_a_moment_and_eight_count():
    moments = ", ".join(f"({10 * k}, {10 * k + 2})" for k in range(9))
    answer = parse(f"<answer>B</answer><glue>[{moments}]</glue>", options=["x", "y"])
    assert keyframes.predicted(answer) == [10.0 * k + 1 for k in range(8)]


def test_pictures_in_the_order_asked_with_repeats(clock_video):
    found = keyframes.pictures(str(clock_video), [5.0, 0.0, 5.04, 99.0])
    assert found.dtype == np.uint8
    assert found.shape == (4, 64, 64, 3)
    levels = found.reshape(4, -1).mean(axis=1)  # 3 grey levels a frame, 10 frames a second
    assert levels == pytest.approx([150, 0, 150, 237], abs=4)


def test_no_time_is_no_picture(clock_video):
    assert keyframes.pictures(str(clock_video), []).shape[0] == 0


def test_large_pictures_are_made_smaller(write_video, tmp_path):
    frames = np.full((4, 512, 256, 3), 90, dtype=np.uint8)
    path = write_video(tmp_path / "large.mp4", frames)
    found = keyframes.pictures(str(path), [0.1])
    assert found.shape == (1, 256, 128, 3)
    assert found.mean() == pytest.approx(90, abs=3)


def test_a_video_that_is_not_there(tmp_path):
    with pytest.raises(VideoError):
        keyframes.pictures(str(tmp_path / "none.mp4"), [1.0])
