"""The record of what the model is shown, and the first difference of two."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from temporal_plugin.video.model_view import (
    ORDER,
    ModelFamily,
    ModelView,
    first_difference,
    true_step_seconds,
    view_of,
)

VIDEO, START, TEXT = 9, 8, 1
QWEN2_5 = ModelFamily(VIDEO, START, merge_size=2, tokens_per_second=2.0)
QWEN3 = replace(QWEN2_5, tokens_per_second=None)
WORDS = {START: "<|vision_start|>", VIDEO: "<|video_pad|>", TEXT: "hm "}


def decode(ids):
    return "".join(WORDS.get(token, f"<{token / 10:.1f} seconds>") for token in ids)


def build(family, ids, temporal, grids=((2, 2, 2),), seconds=(1.0,)):
    patches = sum(t * h * w for t, h, w in grids)
    return view_of(
        family,
        decode,
        token_ids=ids,
        pixels=torch.arange(patches * 3, dtype=torch.float32).view(patches, 3),
        grids=torch.tensor(grids),
        seconds=None if seconds is None else torch.tensor(seconds),
        positions=torch.tensor([temporal] * 3),
        next_position=max(temporal) + 1,
    )


@pytest.fixture
def view():
    return build(QWEN2_5, [TEXT, START, VIDEO, VIDEO, TEXT], [0, 1, 2, 5, 6])


def test_what_qwen2_5_hears_are_its_temporal_positions(view):
    assert view.step_seconds == (0.0, 1.5)
    assert len(view.pixels) == 2 and view.pixels[0] != view.pixels[1]


def test_each_video_starts_its_own_time():
    ids = [START, VIDEO, VIDEO, TEXT, START, VIDEO, VIDEO]
    grids = ((2, 2, 2), (2, 2, 2))
    view = build(QWEN2_5, ids, [0, 1, 3, 4, 5, 6, 12], grids, (1.0, 3.0))
    assert view.step_seconds == (0.0, 1.0, 0.0, 3.0)


def test_what_qwen3_hears_is_written_before_each_step():
    ids = [TEXT, START, 25, START, VIDEO, 105, START, VIDEO, TEXT]
    assert build(QWEN3, ids, list(range(9)), seconds=None).step_seconds == (2.5, 10.5)


def test_a_missing_timestamp_or_placeholder_is_none():
    without_time = build(QWEN3, [START, TEXT, START, VIDEO], [0, 1, 2, 3], seconds=None)
    assert without_time.step_seconds == (None, None), "no text and, in step 1, no placeholder"


def test_pixels_that_do_not_fill_the_grids_are_refused():
    with pytest.raises(ValueError, match="8 patches, but the grids have 12"):
        view_of(
            QWEN2_5, decode, token_ids=[VIDEO], pixels=torch.zeros(8, 3),
            grids=torch.tensor([[3, 2, 2]]), seconds=None, positions=torch.zeros(3, 1),
            next_position=1,
        )  # fmt: skip


def test_pixels_before_normalisation_are_refused():
    with pytest.raises(ValueError, match=r"pixels are torch\.uint8; needed: float32"):
        view_of(
            QWEN2_5, decode, token_ids=[VIDEO], pixels=torch.zeros(4, 3, dtype=torch.uint8),
            grids=torch.tensor([[1, 2, 2]]), seconds=None, positions=torch.zeros(3, 1),
            next_position=1,
        )  # fmt: skip


def test_a_single_row_of_positions_is_refused():
    with pytest.raises(ValueError, match=r"positions of 1 row\(s\); needed: temporal, height"):
        view_of(
            QWEN2_5, decode, token_ids=[VIDEO], pixels=torch.zeros(4, 3),
            grids=torch.tensor([[1, 2, 2]]), seconds=None, positions=torch.zeros(1, 1),
            next_position=1,
        )  # fmt: skip


def test_json_keeps_every_bit(view):
    odd = replace(view, seconds_per_step=(float(np.float32(0.1)),))
    assert ModelView.from_dict(json.loads(json.dumps(odd.to_dict()))) == odd


def test_the_order_names_every_attribute():
    assert sorted(ORDER) == sorted(ModelView.__dataclass_fields__)


def test_equal_views_have_no_difference(view):
    assert first_difference(view, replace(view)) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"grids": ((2, 2, 4),)}, "grids at video 0: (2, 2, 2) and (2, 2, 4)"),
        ({"pixels": ("a",)}, "pixels at step 0"),
        ({"seconds_per_step": (1.5,)}, "seconds_per_step at video 0: 1.0 and 1.5"),
        ({"seconds_per_step": ()}, "seconds_per_step count of videos: 1 and 0"),
        ({"step_seconds": (0.0, None)}, "step_seconds at step 1: 1.5 and None"),
        ({"token_ids": (1, 8, 9, 9)}, "token_ids count of tokens: 5 and 4"),
        ({"token_ids": (1, 8, 9, 9, 2)}, "token_ids at token 4: 1 and 2"),
        ({"next_position": 3}, "next_position: 7 and 3"),
    ],
)
def test_the_first_difference_is_named(view, change, expected):
    assert str(first_difference(view, replace(view, **change))).startswith(expected)


def test_a_position_is_named_with_its_axis(view):
    rows = [list(row) for row in view.positions]
    rows[1][3] = 77
    other = replace(view, positions=tuple(map(tuple, rows)), next_position=99)
    found = str(first_difference(view, other))
    assert found == "positions (height) at token 3: 5 and 77", "before its effect"


class TestTruth:
    pts_seconds = np.array([0.0, 0.7, 1.4, 2.1])

    def test_qwen3(self):
        assert true_step_seconds(self.pts_seconds, None) == [0.3, 1.8]

    def test_qwen2_5_resolves_half_a_second(self):
        assert true_step_seconds(self.pts_seconds, 2.0) == [0.0, 1.0]

    def test_an_odd_frame_makes_a_step(self):
        assert len(true_step_seconds(self.pts_seconds[:3], 2.0)) == 2


def test_the_family_comes_from_the_config():
    vision = SimpleNamespace(spatial_merge_size=2, tokens_per_second=4)
    config = SimpleNamespace(video_token_id=1, vision_start_token_id=2, vision_config=vision)
    assert ModelFamily.of(config) == ModelFamily(1, 2, 2, 4)
    del vision.tokens_per_second
    assert ModelFamily.of(config).tokens_per_second is None
