"""Pixels and times against qwen-vl-utils itself and against decoding everything."""

import numpy as np
import pytest
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.decode import READERS, load_frames, read_pyav
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import plan
from temporal_plugin.video.sampling import Sampling

SAMPLINGS = [
    Sampling(),
    Sampling(fps=1.0, min_pixels=28 * 28, max_pixels=56 * 56),
    Sampling(fps=4.0, max_frames=6, total_pixels=6 * 64 * 64),
]
SMALL = {"min_pixels": 28 * 28, "max_pixels": 56 * 84}
OPEN_GROUPS = {"x264-params": "open-gop=1:keyint=12:scenecut=0"}
KINDS = [
    {"name": "hd.mp4", "colours": {"colorspace": 1, "color_range": 1}},
    {"name": "full.mp4", "pixels": "yuvj420p", "colours": {"color_range": 2}},
    {"name": "ten.mp4", "pixels": "yuv420p10le"},
    {"name": "odd.mp4", "pixels": "yuv444p", "size": (65, 97)},
    {"name": "short.mkv", "options": {"g": "12", "bf": "3"}},
    {"name": "h265.mp4", "codec": "libx265", "options": {"x265-params": "log-level=none"}},
    {"name": "old.avi", "codec": "mpeg4"},
]


def qwen(path, sampling, **clip):
    from qwen_vl_utils.vision_process import fetch_video

    entry = {**sampling.video_entry(), "video": str(path), **clip}
    return fetch_video(entry, return_video_metadata=True)


@pytest.fixture(autouse=True)
def decord_reader(monkeypatch, request):
    if "qwen" in request.node.name:
        from qwen_vl_utils import vision_process

        monkeypatch.setattr(vision_process, "get_video_reader_backend", lambda: "decord")


def real_video(shared, name):
    path = shared / "data/videos" / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    return path


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_same_bytes_as_qwen_vl_utils(clock_video, sampling):
    frames = load_frames(clock_video, sampling)
    pixels, metadata = qwen(clock_video, sampling)
    assert torch.equal(frames.pixels.float(), pixels)
    assert list(frames.indices) == list(metadata["frames_indices"])
    assert frames.source_fps == metadata["fps"]
    assert frames.total_frames == metadata["total_num_frames"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["name"])
def test_same_bytes_as_qwen_vl_utils_whatever_the_format(make_video, kind):
    path = make_video(**kind)
    for fps in (1.0, 8.0):
        pixels, _ = qwen(path, Sampling(fps=fps, **SMALL))
        assert torch.equal(load_frames(path, Sampling(fps=fps, **SMALL)).pixels.float(), pixels)


@pytest.mark.parametrize("name", ["charades_OHOFG.mp4", "nasa_13013.mp4"])
@pytest.mark.parametrize("clip", [None, Span(3.3, 9.1)])
def test_real_videos_same_bytes_as_qwen_vl_utils(shared, name, clip):
    path = real_video(shared, name)
    sampling = Sampling(max_frames=16, min_pixels=28 * 28, max_pixels=112 * 112)
    entry = {"video_start": clip.start_seconds, "video_end": clip.end_seconds} if clip else {}
    pixels, _ = qwen(path, sampling, **entry)
    assert torch.equal(load_frames(path, sampling, clip=clip).pixels.float(), pixels)


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_rotated_as_by_qwen_vl_utils(make_video, patched, matrix):
    a, b, c, d = (value << 16 for value in matrix)
    path = patched(make_video(), "turned.mp4", b"tkhd", 40, ">5i", a, b, 0, c, d)
    pixels, _ = qwen(path, Sampling(**SMALL))
    assert torch.equal(load_frames(path, Sampling(**SMALL)).pixels.float(), pixels)


def test_a_mirrored_video_is_mirrored(make_video, patched):
    path = patched(make_video(), "m.mp4", b"tkhd", 40, ">5i", -(1 << 16), 0, 0, 0, 1 << 16)
    found = next(read_pyav.frames(plan(path, Sampling())))
    plain = next(read_pyav.frames(plan(make_video(), Sampling())))
    assert (found == plain[:, ::-1]).all()


@pytest.mark.parametrize(
    "file",
    [
        {"name": "groups.mp4", "frames": 200, "options": {"g": "12", "bf": "3"}},
        {"name": "open.mp4", "frames": 200, "options": OPEN_GROUPS},
        {"name": "open.ts", "frames": 200, "options": OPEN_GROUPS},
        {"name": "refresh.ts", "options": {"x264-params": "intra-refresh=1:keyint=12"}},
        {"name": "a.mkv", "frames": 300, "options": {"g": "80"}},
        {"name": "old.mpg", "codec": "mpeg2video"},
        {"name": "count.avi"},
        {
            "name": "h265.mp4",
            "codec": "libx265",
            "options": {"x265-params": "log-level=none:open-gop=1:keyint=12"},
        },
    ],
    ids=lambda file: file["name"],
)
def test_seeking_and_skipping_change_nothing(make_video, every_frame, file):
    path = make_video(**file)
    ticks, pictures = every_frame(path)
    for fps in (0.5, 2.0, 10.0):
        found = plan(path, Sampling(fps=fps))
        assert len(ticks) == len(found.packets.ticks)
        chosen = list(read_pyav.frames(found))
        assert (np.stack(chosen) == pictures[list(found.indices)]).all()


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_variable_rate_shows_the_right_frames(make_video, every_frame, variable_rate, name):
    path = make_video(name, frames=100, ticks=variable_rate)
    pictures = every_frame(path)[1]
    for times in ("qwen", "exact"):
        found = plan(path, Sampling(fps=4.0, times=times))
        assert (np.stack(list(read_pyav.frames(found))) == pictures[list(found.indices)]).all()


def test_sparse_samples_decode_little(make_video):
    path = make_video("groups.mp4", frames=200, options={"g": "12", "bf": "3"})
    found = plan(path, Sampling(fps=0.5))
    runs = read_pyav.runs(found.packets, found.packets.ticks[list(found.indices)])
    assert len(runs) == len(found) == 4
    assert sum(run.stop - run.start + 1 for run in runs) <= 4 * 16
    dense = plan(path, Sampling(fps=12.0))
    assert len(read_pyav.runs(dense.packets, dense.packets.ticks[list(dense.indices)])) == 1


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


def test_fast_is_close_to_exact(shared):
    path = real_video(shared, "charades_OHOFG.mp4")
    few = {"max_frames": 16, "total_pixels": 16 * 196 * 364 // 2, "min_pixels": 784}
    exact = load_frames(path, Sampling(**few)).pixels.float()
    fast = load_frames(path, Sampling(resize="fast", **few)).pixels.float()
    assert 0 < (exact - fast).abs().mean() < 0.2
    assert (exact - fast).abs().max() < 10


@pytest.mark.parametrize("size", [(56, 84), (28, 28), (140, 196), (64, 96)])
def test_exact_resize_is_torchvisions(size):
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize

    from temporal_plugin.video.decode.resize import exact

    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    out = torch.empty((3, *size), dtype=torch.uint8)
    exact(picture, out)
    whole = torch.from_numpy(picture).permute(2, 0, 1)[None]
    bicubic = InterpolationMode.BICUBIC
    assert torch.equal(out, resize(whole, list(size), interpolation=bicubic, antialias=True)[0])


def test_contradicting_pixel_limits_name_both(clock_video):
    message = r"max_pixels is 3136 but min_pixels is \d+ \(the default\)"
    with pytest.raises(ValueError, match=message):
        load_frames(clock_video, Sampling(max_pixels=56 * 56))


@pytest.mark.parametrize("kind", [{"name": "plain.mp4"}, *KINDS], ids=lambda kind: kind["name"])
def test_decord_gives_the_same(make_video, kind):
    path = make_video(**kind)
    ours = load_frames(path, Sampling(fps=8.0, **SMALL))
    theirs = load_frames(path, Sampling(fps=8.0, decoder="decord", **SMALL))
    assert torch.equal(ours.pixels, theirs.pixels)
    assert ours.indices == theirs.indices


def test_decord_is_not_used_where_it_errs(make_video, monkeypatch):
    monkeypatch.setitem(READERS, "decord", None)
    for name in ("open.mp4", "open.ts"):
        path = make_video(name, frames=200, options=OPEN_GROUPS)
        assert index_packets(path).open_groups
        load_frames(path, Sampling(decoder="decord", **SMALL))


@pytest.mark.parametrize("kind", [{"name": "plain.mp4"}, *KINDS], ids=lambda kind: kind["name"])
def test_torchcodec_gives_the_same(make_video, kind):
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"torchcodec does not load: {str(error).splitlines()[0]}")
    path = make_video(**kind)
    ours = load_frames(path, Sampling(fps=8.0, **SMALL))
    theirs = load_frames(path, Sampling(fps=8.0, decoder="torchcodec", **SMALL))
    assert ours.indices == theirs.indices
    # it rounds ten bits in another way
    assert (ours.pixels.float() - theirs.pixels).abs().mean() < (5 if "ten" in path.name else 0.01)
