"""Frames against qwen-vl-utils itself, and the errors of files that cannot be read."""

import numpy as np
import pytest
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.decode import VideoError, load_frames
from temporal_plugin.video.sampling import Sampling

SAMPLINGS = [
    Sampling(),
    Sampling(fps=1.0, min_pixels=28 * 28, max_pixels=56 * 56),
    Sampling(fps=4.0, max_frames=6, total_pixels=6 * 64 * 64),
]


def qwen(path, sampling, **clip):
    from qwen_vl_utils.vision_process import fetch_video

    entry = {**sampling.video_entry(), "video": str(path), **clip}
    (pixels, metadata), fps = fetch_video(
        entry, return_video_sample_fps=True, return_video_metadata=True
    )
    return pixels, metadata, fps


@pytest.fixture(autouse=True)
def decord_reader(monkeypatch):
    from qwen_vl_utils import vision_process

    monkeypatch.setattr(vision_process, "get_video_reader_backend", lambda: "decord")


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_same_bytes_as_qwen_vl_utils(clock_video, sampling):
    frames = load_frames(clock_video, sampling)
    pixels, metadata, _ = qwen(clock_video, sampling)
    assert torch.equal(frames.pixels.float(), pixels)
    assert list(frames.indices) == list(metadata["frames_indices"])
    assert frames.source_fps == metadata["fps"]
    assert frames.total_frames == metadata["total_num_frames"]


def test_real_video_same_bytes(shared):
    path = shared / "data/videos/charades_OHOFG.mp4"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    sampling = Sampling(max_frames=16, min_pixels=28 * 28, max_pixels=56 * 56)
    assert torch.equal(load_frames(path, sampling).pixels.float(), qwen(path, sampling)[0])


def test_times_are_the_frames_own(clock_video):
    frames = load_frames(clock_video, Sampling(fps=2.0))
    assert np.allclose(frames.pts_seconds, np.array(frames.indices) / 10)
    level = frames.pixels.float().mean(dim=(1, 2, 3)).numpy()
    assert np.abs(level / 3 / 10 - frames.pts_seconds).max() < 0.15


def test_a_clip_is_timed_from_its_start(clock_video):
    frames = load_frames(clock_video, Sampling(fps=2.0), clip=Span(2.0, 6.0))
    assert frames.pts_seconds[0] == pytest.approx(0.0)
    assert frames.metadata()["frames_indices"][0] == 0
    assert frames.pixels[0].float().mean() == pytest.approx(60, abs=6)  # grey level at 2.0 s
    assert frames.pts_seconds[-1] == pytest.approx(4.0, abs=0.2)


def test_errors_name_file_and_remedy(tmp_path, clock_video):
    with pytest.raises(VideoError, match=r"gone.mp4: no such video file; check `data_folder`"):
        load_frames(tmp_path / "gone.mp4", Sampling())
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    with pytest.raises(VideoError, match=r"broken.mp4: cannot be decoded .*data check"):
        load_frames(broken, Sampling())
    with pytest.raises(VideoError, match="Invalid time range"):
        load_frames(clock_video, Sampling(), clip=Span(100.0, 120.0))


def test_contradicting_pixel_limits_name_both(clock_video):
    with pytest.raises(
        ValueError, match=r"max_pixels is 3136 but min_pixels is \d+ \(the default\)"
    ):
        load_frames(clock_video, Sampling(max_pixels=56 * 56))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"min_frames": 8, "max_frames": 4}, "min_frames is 8 and max_frames is 4"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"pixels": 3}, r"unknown sampling setting \['pixels'\]; allowed"),
    ],
)
def test_bad_sampling_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling.from_mapping(settings)
