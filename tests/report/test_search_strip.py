"""The picture of a search."""

import numpy as np
import pytest
from PIL import Image

from temporal_plugin.report.search_strip import draw


@pytest.mark.parametrize("count", [1, 8, 20])
def test_every_frame_is_drawn_in_its_colour(tmp_path, count):
    colours = np.random.default_rng(0).integers(0, 256, (count, 3), dtype=np.uint8)
    pictures = np.broadcast_to(colours[:, None, None, :], (count, 36, 64, 3))
    path = tmp_path / "strip.png"
    draw(path, "a $ query", pictures, np.arange(count) * 0.5)
    found = {tuple(pixel) for pixel in np.asarray(Image.open(path))[..., :3].reshape(-1, 3)}
    assert {tuple(colour) for colour in colours} <= found


def test_the_curve_marks_the_frames_found(tmp_path):
    pictures = np.zeros((2, 36, 64, 3), np.uint8)
    times, relevance = np.arange(20) / 2, np.linspace(0, 1, 20)
    for name in ("curve.svg", "curve.pdf"):
        draw(tmp_path / name, "a query", pictures, times[[3, 17]], times, relevance)
        assert (tmp_path / name).stat().st_size > 1000


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"strip.gif: the ending must be one of .png, .svg, .pdf"):
        draw(tmp_path / "strip.gif", "a", np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1))
