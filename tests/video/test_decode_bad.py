"""Files that cannot be used: a named error or the right frames, within seconds, no crash."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from temporal_plugin.video.decode import VideoError, load_frames, read_decord
from temporal_plugin.video.plan import plan
from temporal_plugin.video.sampling import Sampling

SMALL = Sampling(min_pixels=28 * 28, max_pixels=56 * 84)


@pytest.fixture(scope="module")
def front(make_video, tmp_path_factory):
    """A video whose index comes first, so that it opens when its end is missing."""
    import av

    path = tmp_path_factory.mktemp("front") / "front.mp4"
    options = {"movflags": "faststart"}
    with (
        av.open(str(make_video(frames=200))) as source,
        av.open(str(path), "w", options=options) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"this is no video\n" * 100, "cannot be decoded"),
        (bytes(100_000), "cannot be decoded"),
        (b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n", "cannot be decoded"),
    ],
)
def test_what_is_no_video(tmp_path, content, reason):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=rf"broken.mp4: .*{reason}.*data check"):
        load_frames(path, SMALL)


def test_missing_folder_and_pipe(tmp_path):
    with pytest.raises(VideoError, match=r"gone.mp4: no such video file; check `data_folder`"):
        load_frames(tmp_path / "gone.mp4", SMALL)
    with pytest.raises(VideoError, match="not a regular file"):
        load_frames(tmp_path, SMALL)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="not a regular file"):
        load_frames(tmp_path / "pipe.mp4", SMALL)


def test_audio_only(tmp_path):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = np.zeros((1, 44100), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="no video stream"):
        load_frames(path, SMALL)


def test_one_frame_and_three(make_video):
    with pytest.raises(VideoError, match="1 frame; at least 2 are needed"):
        load_frames(make_video("one.mp4", frames=1), SMALL)
    assert len(load_frames(make_video("three.mp4", frames=3), SMALL)) == 2


def test_a_sliver(make_video):
    with pytest.raises(VideoError, match=r"1000x2 pixels.*crop or pad"):
        load_frames(make_video("sliver.mp4", size=(2, 1000)), SMALL)


@pytest.mark.parametrize("share", [0.95, 0.5, 0.1])
def test_cut_off(front, tmp_path, share):
    path = tmp_path / "cut.mp4"
    path.write_bytes(front.read_bytes()[: int(front.stat().st_size * share)])
    with pytest.raises(VideoError, match=r"cut off: \d+ of 200 frames, until"):
        load_frames(path, SMALL)


def test_index_missing(make_video, tmp_path):
    path = tmp_path / "half.mp4"
    data = make_video().read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="cannot be decoded"):
        load_frames(path, SMALL)


@pytest.mark.parametrize(
    ("box", "offset", "layout", "values"),
    [
        (b"avc1", 24, ">HH", (65535, 65535)),  # width and height
        (b"avc1", 24, ">HH", (0, 0)),
        (b"mdhd", 12, ">I", (0,)),  # ticks per second
        (b"mdhd", 12, ">I", (0xFFFFFFFF,)),
        (b"stts", 8, ">I", (0x7FFFFFFF,)),  # number of frames
        (b"stts", 12, ">I", (0x7FFFFFFF,)),  # length of a frame
        (b"stts", 12, ">i", (-512,)),
        (b"stsc", 12, ">I", (0x7FFFFFFF,)),  # frames in a piece
        (b"elst", 12, ">i", (60_000,)),  # start of what is shown
        (b"elst", 8, ">I", (0x7FFFFFFF,)),  # length of it
    ],
)
def test_hostile_metadata(make_video, patched, box, offset, layout, values):
    path = patched(make_video(), "hostile.mp4", box, offset, layout, *values)
    started = time.monotonic()
    try:
        frames = load_frames(path, SMALL)
    except VideoError as error:
        assert "hostile.mp4" in str(error)
    else:
        assert np.isfinite(frames.pts_seconds).all() and (np.diff(frames.pts_seconds) > 0).all()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_damaged_pictures(front, tmp_path, decoder):
    """Random damage: frames or a named error, with decord too, which may end its process."""
    random, path = np.random.default_rng(0), tmp_path / "damaged.mp4"
    for count in (3, 100, 1000):
        data = bytearray(front.read_bytes())
        start = data.index(b"mdat") + 8
        for place in random.integers(start, len(data), count):
            data[place] ^= 0xFF
        path.write_bytes(data)
        try:
            frames = load_frames(
                path, Sampling(decoder=decoder, fps=8, min_pixels=784, max_pixels=4704)
            )
        except ValueError as error:
            assert isinstance(error, VideoError), error
            continue
        assert (np.diff(frames.pts_seconds) > 0).all()


def test_random_damage_to_the_index(make_video, tmp_path):
    random, path = np.random.default_rng(1), tmp_path / "damaged.mp4"
    original = make_video().read_bytes()
    start, ended = original.index(b"moov"), []
    for _ in range(60):
        data = bytearray(original)
        for place in random.integers(start, len(data), 5):
            data[place] = random.choice((0, 255, 127, 128))
        path.write_bytes(data)
        try:
            frames = load_frames(path, SMALL)
            assert (np.diff(frames.pts_seconds) > 0).all()
            ended.append("frames")
        except VideoError:
            ended.append("error")
    assert {"frames", "error"} == set(ended)


def test_8k(tmp_path):
    import av

    path = tmp_path / "8k.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        frame = av.VideoFrame(7680, 4320, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([100]) * plane.buffer_size)
        for pts in range(2):
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert load_frames(path, Sampling(resize="fast")).pixels.shape == (2, 3, 560, 1008)


def test_decord_that_ends_is_a_named_error(make_video, monkeypatch, tmp_path):
    child = tmp_path / "child.py"
    child.write_text(f"import os; input(); os.kill(os.getpid(), {signal.SIGABRT.value})")
    monkeypatch.setattr(read_decord, "CHILD", child)
    monkeypatch.setattr(read_decord, "_idle", [])
    with pytest.raises(VideoError, match=r"decord's process ended with status -6"):
        load_frames(make_video(), Sampling(decoder="decord"))


def test_decord_that_hangs_is_ended(make_video, monkeypatch, tmp_path):
    child = tmp_path / "child.py"
    child.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(read_decord, "CHILD", child)
    monkeypatch.setattr(read_decord, "_idle", [])
    monkeypatch.setattr(read_decord, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(read_decord, "LIMIT_SECONDS_PER_FRAME", 0.0)
    with pytest.raises(VideoError, match=r"decord's process ended with status -9, limit 0 s"):
        load_frames(make_video(), Sampling(decoder="decord"))


def test_decords_process_is_used_again(make_video, together):
    sampling = Sampling(decoder="decord")
    load_frames(make_video(), sampling)
    before = list(read_decord._idle)
    load_frames(make_video(), sampling)
    assert read_decord._idle == before
    for frames in together(3, lambda _: load_frames(make_video(), sampling)):
        assert len(frames) == 4


def test_a_decoder_that_does_not_load_is_named(make_video, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(VideoError, match=r"torchcodec, which does not load .*decoder: auto"):
        load_frames(make_video(), Sampling(decoder="torchcodec"))


def test_a_frame_that_never_comes_is_missed(make_video, monkeypatch):
    from temporal_plugin.video.decode import READERS

    monkeypatch.setitem(READERS, "pyav", lambda planned: iter(()))
    with pytest.raises(VideoError, match="0 of 4 frames could be decoded"):
        load_frames(make_video(), SMALL)


@pytest.mark.slow
def test_memory_does_not_grow_with_length(make_video):
    """1000 frames of 640x360 are 700 MB; one frame is held at a time."""
    path = make_video("long.mp4", frames=1000, size=(360, 640), options={"preset": "ultrafast"})
    program = (
        "import resource, sys\n"
        "from temporal_plugin.video.decode import load_frames\n"
        "from temporal_plugin.video.sampling import Sampling\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "frames = load_frames(sys.argv[1], Sampling(fps=25, max_frames=2000, max_pixels=4704,"
        " min_pixels=784))\n"
        "print(peak() - before, len(frames))\n"
    )
    run = [sys.executable, "-c", program, str(path)]
    grown, count = map(int, subprocess.run(run, capture_output=True, check=True).stdout.split())
    assert count == 1000 and grown < 150


def test_planning_needs_no_pixels_of_a_damaged_video(front, tmp_path):
    data = bytearray(front.read_bytes())
    middle = len(data) * 3 // 4
    data[middle : middle + 2000] = bytes(2000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    assert len(plan(path, SMALL)) == 16
