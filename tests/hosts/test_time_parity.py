"""Every path shows the model the same pixels, grids, tokens, times and positions, and true ones.

Rollout (verl's agent loop, server client and vLLM server, then vLLM's own input processing),
log-prob (what verl's worker puts into the trainer's queue), SFT (verl's collated batch) and
lmms-eval (both model classes through lmms-eval's requests) run the hosts' own code; only weights
and engines are left out. `test_lmms_eval_vllm.py` starts a real engine.
"""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("verl")
pytest.importorskip("vllm")
pytest.importorskip("lmms_eval")

from parity import SMALL, Paths, differences, sample_of

from temporal_plugin.spans import Span
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.masking import Mask
from temporal_plugin.video.model_view import first_difference, true_step_seconds
from temporal_plugin.video.sampling import Sampling

pytestmark = pytest.mark.slow
FAMILIES = {"qwen2_5_vl": (14, 2), "qwen3_vl": (16, None)}  # patch size, tokens per second
FPS = (0.5, 1.0, 1.94, 2.0, 4.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory, write_video):
    """name -> (video, fields of its sample)."""
    folder = tmp_path_factory.mktemp("parity")
    rng = np.random.default_rng(0)

    def noise(name, seconds, fps, edge=64):
        frames = rng.integers(0, 255, (round(seconds * fps), edge, edge, 3), dtype=np.uint8)
        return write_video(folder / name, frames, fps)

    return {
        "3 s": (noise("three.mp4", 3, 10), {"duration": 3.0}),
        "13.4 s": (noise("thirteen.mp4", 13.4, 10), {"duration": 13.4}),
        "variable rate": (variable_rate(folder / "variable.mp4", rng), {"duration": 20.0}),
        "part of a file": (noise("part.mp4", 40, 10), {"clip": [7.3, 29.1], "duration": 21.8}),
        "10 min": (noise("long.mp4", 600, 4, edge=32), {"duration": 600.0}),
    }


def variable_rate(path, rng):
    """A 20 s file whose frames stand 40 to 400 ms apart."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        milliseconds = 0
        while milliseconds < 20_000:
            pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            container.mux(stream.encode(frame))
            milliseconds += int(rng.integers(40, 400))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module", params=FPS, ids=lambda fps: f"{fps}fps")
def paths(request, family, tiny_model):
    return Paths(tiny_model(family), {"fps": request.param, **SMALL})


def check(paths, family, video, fields):
    sample = sample_of(video, **fields)
    views = paths.views(sample)
    assert differences(views) == {}
    patch_size, tokens_per_second = FAMILIES[family]
    clip = Span(*fields["clip"]) if "clip" in fields else None
    sampling = Sampling.from_mapping(paths.sampling)
    frames = load_frames(video, sampling, clip=clip, patch_size=patch_size)
    true = true_step_seconds(frames.pts_seconds, tokens_per_second)
    assert list(views["rollout"].step_seconds) == true


@pytest.mark.parametrize("name", ["3 s", "13.4 s", "variable rate", "part of a file", "10 min"])
def test_all_paths_tell_the_same_truth(paths, family, clips, name):
    check(paths, family, *clips[name])


MASKED = [("qwen2_5_vl", "blank"), ("qwen3_vl", "blank"), ("qwen3_vl", "drop")]


@pytest.mark.parametrize(("name", "mode"), MASKED)
def test_what_a_mask_shows_keeps_its_times(name, mode, tiny_model, clips):
    """Rollout and log-prob see the same, and each shown step says what it says unmasked."""
    video, fields = clips["variable rate"]
    paths = Paths(tiny_model(name), {"fps": 2.0, **SMALL})
    sample = sample_of(video, **fields)
    mask = Mask((Span(4.0, 7.0),), "curriculum", 0.4, "0/a", mode)
    whole, _ = paths.rollout(sample)
    rollout, log_prob = paths.rollout(sample, mask=mask.to_mapping())
    assert first_difference(rollout, log_prob) is None
    patch_size, tokens_per_second = FAMILIES[name]
    frames = load_frames(video, Sampling.from_mapping(paths.sampling), patch_size=patch_size)
    kept = np.flatnonzero(mask.kept(frames.pts_seconds)[::2])
    assert 3 < len(kept) < len(whole.pixels) - 3
    places = kept if mode == "blank" else range(len(kept))
    assert [rollout.pixels[place] for place in places] == [whole.pixels[step] for step in kept]
    assert [rollout.step_seconds[place] for place in places] == [
        whole.step_seconds[step] for step in kept
    ]
    true = true_step_seconds(frames.pts_seconds, tokens_per_second)
    assert list(whole.step_seconds) == true
    if mode == "blank":
        hidden = set(range(len(whole.pixels))) - set(kept.tolist())
        assert len({rollout.pixels[step] for step in hidden}) == 1, "all black"
        assert rollout.token_ids == whole.token_ids and rollout.positions == whole.positions
    else:
        assert len(rollout.pixels) == len(kept)
        assert len(rollout.token_ids) < len(whole.token_ids)
        least = Mask((Span(4.0, 4.01),), "curriculum", 0.0, "0/a", mode)  # a single step
        rollout, log_prob = paths.rollout(sample, mask=least.to_mapping())
        assert first_difference(rollout, log_prob) is None
        step = int(np.flatnonzero(least.kept(frames.pts_seconds)[::2])[0])
        assert (rollout.pixels, rollout.step_seconds) == ((whole.pixels[step],), (true[step],))


def test_all_paths_tell_the_same_truth_of_the_real_clip(paths, family, shared):
    check(paths, family, shared / "data/videos/charades_OHOFG.mp4", {"duration": 35.0})
