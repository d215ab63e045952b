"""Fixtures of the video tests."""

import struct
import threading
from fractions import Fraction

import numpy as np
import pytest


@pytest.fixture(scope="session")
def together():
    """together(count, work): results of `work(number)` in threads that start at once."""

    def start(count, work):
        results = [None] * count
        barrier = threading.Barrier(count)

        def run(number):
            barrier.wait()
            try:
                results[number] = work(number)
            except Exception as error:  # the test looks at it
                results[number] = error

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        return results

    return start


def _scene(frames, height, width):
    """A moving coloured pattern that brightens with time."""
    random = np.random.default_rng(0)
    tiles = random.integers(0, 200, (height // 8 + 1, width // 8 + 1, 3))
    pattern = np.kron(tiles, np.ones((8, 8, 1), dtype=np.int64))[:height, :width]
    for t in range(frames):
        yield (np.roll(pattern, (2 * t, 3 * t), (0, 1)) + t % 50).astype(np.uint8)


def _write(
    path,
    frames=60,
    size=(64, 96),
    rate=25,
    codec="libx264",
    pixels="yuv420p",
    options=None,
    ticks=None,
    colours=None,
):
    """`ticks`: presentation times in 1/90 s."""
    import av

    base = Fraction(1, 90) if ticks is not None else Fraction(1, rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        (stream.height, stream.width), stream.pix_fmt = size, pixels
        stream.codec_context.time_base = base
        for attribute, value in (colours or {}).items():
            setattr(stream.codec_context, attribute, value)
        for t, picture in enumerate(_scene(frames, *size)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = (t if ticks is None else int(ticks[t])), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="session")
def make_video(tmp_path_factory):
    """make_video(name, ...): a real video file; made once per set of arguments."""
    folder, made = tmp_path_factory.mktemp("made"), {}

    def make(name="a.mp4", **settings):
        """Settings: see `_write`."""
        key = name, repr(sorted(settings.items(), key=lambda item: item[0]))
        if key not in made:
            path = folder / str(len(made)) / name
            path.parent.mkdir()
            _write(path, **settings)
            made[key] = path
        return made[key]

    return make


@pytest.fixture(scope="session")
def patched(tmp_path_factory):
    """patched(video, name, box, offset, format, *values): a copy with an MP4 box overwritten."""

    def patch(video, name, box, offset, layout, *values):
        data = bytearray(video.read_bytes())
        struct.pack_into(layout, data, data.index(box) + 4 + offset, *values)
        path = tmp_path_factory.mktemp("patched") / name
        path.write_bytes(data)
        return path

    return patch


@pytest.fixture(scope="session")
def every_frame():
    """every_frame(video): (times in ticks [N], RGB [N, H, W, 3]) by decoding all with PyAV."""
    import av

    def decode(path):
        with av.open(str(path)) as container:
            stream = container.streams.best("video")
            stream.thread_type = "NONE"
            found = [(f.pts, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
        return np.array([pts for pts, _ in found]), np.stack([picture for _, picture in found])

    return decode


@pytest.fixture(scope="session")
def variable_rate():
    """Presentation times of 100 frames in 1/90 s, 1 to 11 apart."""
    return np.concatenate([[0], np.cumsum(np.random.default_rng(3).integers(1, 12, 99))])
