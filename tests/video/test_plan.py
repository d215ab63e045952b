"""Frame numbers, times and sizes from packets, against decoding everything and qwen-vl-utils."""

import time

import av
import numpy as np
import pytest

from temporal_plugin.spans import Span
from temporal_plugin.video.choice import choose, frame_count
from temporal_plugin.video.decode import VideoError, load_frames
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import plan
from temporal_plugin.video.sampling import Sampling

FILES = [
    {"name": "a.mp4"},
    {"name": "a.mkv"},
    {"name": "a.ts"},
    {"name": "a.flv"},
    {"name": "a.mpg", "codec": "mpeg2video"},
    {"name": "a.avi", "codec": "mpeg4"},
    {"name": "a.webm", "codec": "libvpx-vp9", "frames": 12, "options": {"cpu-used": "8"}},
    {"name": "b.mp4", "codec": "libx265", "options": {"x265-params": "log-level=none"}},
    {"name": "open.mp4", "options": {"x264-params": "open-gop=1:keyint=12:scenecut=0"}},
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["name"])
def test_packets_tell_the_time_of_every_frame(make_video, every_frame, file):
    path = make_video(**file)
    index = index_packets(path)
    assert index.ticks.tolist() == every_frame(path)[0].tolist()
    assert index.times[0] == pytest.approx(0.0)
    assert index.fps == pytest.approx(25.0)
    assert (index.height, index.width) == (64, 96)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_variable_rate_keeps_its_real_times(make_video, every_frame, variable_rate, name):
    path = make_video(name, frames=100, ticks=variable_rate)
    index = index_packets(path)
    assert index.ticks.tolist() == every_frame(path)[0].tolist()
    assert np.abs(index.times - variable_rate / 90).max() < 1e-3
    # Matroska's and MPEG's headers name another rate; the frames decide
    assert index.fps == pytest.approx(100 / (variable_rate[-1] / 90), rel=0.03)
    frames = plan(path, Sampling(fps=2.0))
    assert frames.pts_seconds == pytest.approx(variable_rate[list(frames.indices)] / 90, abs=1e-3)


def test_avi_with_reordered_frames_counts_them(make_video):
    index = index_packets(make_video("b.avi"))
    assert index.by_count and len(index.ticks) == 60
    assert index.times == pytest.approx(np.arange(60) / 25)


def test_raw_stream_has_the_rate_only(make_video):
    index = index_packets(make_video("raw.h264"))
    assert index.by_count and index.times == pytest.approx(np.arange(60) / 25)


@pytest.mark.parametrize("fps", [0.5, 1.0, 1.94, 2.0, 4.0])
@pytest.mark.parametrize("clip", [None, (0.31, 1.9), (0.4, 2.0)])
def test_same_numbers_as_qwen_vl_utils(make_video, fps, clip):
    import torch
    from qwen_vl_utils.vision_process import calculate_video_frame_range, smart_nframes

    path, sampling = make_video(), Sampling(fps=fps)
    entry = sampling.video_entry()
    if clip:
        entry |= {"video_start": clip[0], "video_end": clip[1]}
    first, last, total = calculate_video_frame_range(entry, 60, 25.0)
    count = smart_nframes(entry, total_frames=total, video_fps=25.0)
    expected = torch.linspace(first, last, count).round().long().tolist()
    found = plan(path, sampling, Span(*clip) if clip else None)
    assert list(found.indices) == expected
    assert found.total_frames == total
    assert found.pts_seconds == pytest.approx(np.array(expected) / 25 - (clip or [0])[0])


@pytest.mark.parametrize("name", ["charades_OHOFG.mp4", "nasa_13013.mp4"])
@pytest.mark.parametrize("clip", [None, (3.3, 9.1)])
def test_real_videos_same_numbers_as_decord(shared, name, clip):
    import decord
    from qwen_vl_utils import vision_process as qwen

    path = shared / "data/videos" / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    sampling = Sampling()
    reader = decord.VideoReader(str(path), num_threads=1)
    entry = sampling.video_entry() | (
        {"video_start": clip[0], "video_end": clip[1]} if clip else {}
    )
    rate = reader.get_avg_fps()
    first, last, total = qwen.calculate_video_frame_range(entry, len(reader), rate)
    found = plan(path, sampling, Span(*clip) if clip else None)
    assert (found.indices[0], found.indices[-1], found.total_frames) == (first, last, total)
    assert len(found) == qwen.smart_nframes(entry, total_frames=total, video_fps=rate)
    times = reader.get_frame_timestamp(list(found.indices))[:, 0] - (clip or [0])[0]
    assert found.pts_seconds == pytest.approx(times, abs=1e-4)


def test_exact_times_are_nearest_to_an_even_grid(make_video, variable_rate):
    path = make_video("v.mp4", frames=100, ticks=variable_rate)
    times, found = variable_rate / 90, plan(path, Sampling(fps=2.0, times="exact"))
    grid = np.arange(len(found)) / 2.0
    assert len(found) == int(index_packets(path).end_seconds * 2) // 2 * 2
    assert (
        np.abs(found.pts_seconds - grid).max() <= np.abs(times[:, None] - grid).min(0).max() + 1e-9
    )
    clip = plan(path, Sampling(fps=2.0, times="exact"), Span(1.0, 4.0))
    assert len(clip) == 6
    assert ((clip.pts_seconds >= 0) & (clip.pts_seconds < 3.0)).all()


def test_a_picture_that_stands_still_is_taken_once():
    times = np.array([0.0, 0.1, 0.2, 20.0, 20.1])
    chosen, total = choose(times, 0.25, 20.2, Sampling(fps=2.0, times="exact"), None)
    assert total == 5 and len(chosen) == 4 and (np.diff(chosen) > 0).all()


def test_frame_count_is_even_and_bounded():
    assert frame_count(1000, 33.0, Sampling()) == 66
    assert frame_count(1000, 0.5, Sampling()) == 4
    assert frame_count(3, 0.5, Sampling()) == 2
    assert frame_count(10_000, 3000, Sampling(max_frames=101)) == 100
    with pytest.raises(ValueError, match="1 frame; at least 2"):
        frame_count(1, 1.0, Sampling())


def test_a_clip_without_frames_says_where_they_are(make_video):
    with pytest.raises(VideoError, match=r"clip 100 to 120 s has . frames.*lie at 0 to 2.36 s"):
        plan(make_video(), Sampling(), Span(100.0, 120.0))


@pytest.mark.parametrize("ticks", [900, -900])
def test_the_first_frame_of_a_shifted_file_is_at_zero(make_video, ticks):
    path = make_video("late.mkv", ticks=ticks + np.arange(60) * 4)
    assert index_packets(path).times == pytest.approx(np.arange(60) * 4 / 90, abs=1e-3)


def test_the_stream_with_the_most_frames_is_taken(shared):
    """FFmpeg's choice, which decord also makes: here the fourth stream, not the first."""
    path = shared / "data/videos/nasa_13013.mp4"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    index = index_packets(path)
    assert (index.stream, len(index.ticks), index.height, index.width) == (3, 390, 270, 480)


def test_an_edit_list_hides_frames(make_video, patched, every_frame):
    # shown from 20 frames on (512 ticks a frame, 1024 of reordering)
    path = patched(make_video(), "cut.mp4", b"elst", 12, ">i", 512 * 20 + 1024)
    index = index_packets(path)
    ticks, pictures = every_frame(path)
    assert len(index.ticks) == 40 and index.ticks.tolist() == ticks.tolist()
    frames = load_frames(path, Sampling(min_pixels=784, max_pixels=64 * 96))
    assert frames.pts_seconds[0] == pytest.approx(0.0)
    assert frames.pixels[0].float().mean() == pytest.approx(pictures[0].mean(), abs=1)


@pytest.mark.parametrize(
    ("matrix", "turns", "mirrored", "size"),
    [
        ((0, 1, -1, 0), 3, False, (96, 64)),
        ((-1, 0, 0, -1), 2, False, (64, 96)),
        ((0, -1, 1, 0), 1, False, (96, 64)),
        ((-1, 0, 0, 1), 0, True, (64, 96)),
    ],
)
def test_rotation_metadata(make_video, patched, matrix, turns, mirrored, size):
    a, b, c, d = (value << 16 for value in matrix)
    path = patched(make_video(), "turned.mp4", b"tkhd", 40, ">5i", a, b, 0, c, d)
    index = index_packets(path)
    assert (index.turns, index.mirrored) == (turns, mirrored)
    assert (index.height, index.width) == size


def test_odd_sizes(make_video):
    path = make_video("odd.mp4", size=(65, 97), pixels="yuv444p")
    assert (index_packets(path).height, index_packets(path).width) == (65, 97)


@pytest.mark.parametrize(
    ("box", "offset", "value"),
    [(b"mvhd", 16, 0x7FFFFFFF), (b"mdhd", 16, 0xFFFFFFF0), (b"mdhd", 16, 0), (b"mvhd", 16, 0)],
)
def test_a_wrong_duration_in_the_header_changes_nothing(make_video, patched, box, offset, value):
    found = plan(patched(make_video(), "d.mp4", box, offset, ">I", value), Sampling())
    assert found.indices == plan(make_video(), Sampling()).indices
    assert found.source_fps == pytest.approx(25.0)


def test_tokens_are_those_of_the_decoded_frames(make_video):
    for patch in (14, 16):
        found = plan(make_video(), Sampling(), patch_size=patch)
        frames = load_frames(make_video(), Sampling(), patch_size=patch)
        assert (len(found), 3, found.height, found.width) == frames.pixels.shape
        assert found.grid() == (2, found.height // patch, found.width // patch)
        assert found.tokens() == found.tokens(2, patch) == np.prod(found.grid()) // 4
        assert found.metadata() == frames.metadata()
        assert found.pts_seconds.tolist() == frames.pts_seconds.tolist()


def test_planning_does_not_decode_the_video(make_video, monkeypatch):
    path = make_video("long.mp4", frames=500)
    decoded = []
    original = av.Packet.decode

    class Counting:
        @staticmethod
        def first(walk, packet):
            if walk.first is None:
                decoded.append(packet)
                walk.first = next(iter(original(packet)), None)

    monkeypatch.setattr("temporal_plugin.video.packets._Walk._look_at_first", Counting.first)
    assert len(plan(path, Sampling())) == 40
    assert len(decoded) < 10


def test_a_changed_file_is_read_again(make_video, tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(make_video().read_bytes())
    assert len(index_packets(path).ticks) == 60
    time.sleep(0.01)
    path.write_bytes(make_video("long.mp4", frames=500).read_bytes())
    assert len(index_packets(path).ticks) == 500
