"""Settings: what is refused, what reaches qwen-vl-utils, and what makes two samplings equal."""

import json

import pytest

from temporal_plugin.video.sampling import Sampling


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": float("inf")}, "fps is inf"),
        ({"min_frames": 8, "max_frames": 4}, "min_frames is 8 and max_frames is 4"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"total_tokens": 0}, "total_tokens is 0"),
        ({"min_tokens": 4, "min_pixels": 3136}, "has min_pixels and min_tokens; give one"),
        ({"pixels": 3}, r"unknown sampling setting \['pixels'\]; allowed"),
        ({"times": "real"}, r"times is 'real'; allowed: \('qwen', 'exact'\)"),
        ({"resize": "quick"}, "resize is 'quick'; allowed"),
        ({"decoder": "opencv"}, "decoder is 'opencv'; allowed"),
    ],
)
def test_bad_sampling_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling.from_mapping(settings)


def test_video_entry_holds_what_qwen_vl_utils_knows():
    entry = Sampling(fps=1, max_pixels=5000, times="exact", resize="fast").video_entry()
    assert entry == {"fps": 1, "min_frames": 4, "max_frames": 768, "max_pixels": 5000}


def test_key_is_canonical():
    assert Sampling(fps=2).key() == Sampling(fps=2.0).key()
    assert json.loads(Sampling().key())["fps"] == 2.0


@pytest.mark.parametrize(
    "settings",
    [
        {"fps": 1.0},
        {"min_frames": 6},
        {"max_frames": 8},
        {"min_pixels": 3136},
        {"max_pixels": 200_000},
        {"total_pixels": 900_000},
        {"total_tokens": 900},
        {"times": "exact"},
        {"resize": "fast"},
        {"decoder": "torchcodec"},
    ],
)
def test_what_decides_the_pixels_is_in_the_key(settings):
    assert Sampling(**settings).key() != Sampling().key()


def test_decoders_that_agree_share_a_key():
    assert Sampling(decoder="decord").key() == Sampling(decoder="pyav").key() == Sampling().key()


def test_the_default_budget_is_in_the_key(monkeypatch):
    before, fixed = Sampling().key(), Sampling(total_pixels=10**6).key()
    monkeypatch.setenv("MODEL_SEQ_LEN", "1000")
    assert Sampling().key() != before
    assert Sampling(total_pixels=10**6).key() == fixed
