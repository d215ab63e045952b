"""Reordered frames: the same pixels, another order, the same clock."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.reorder import permutation, reordered
from temporal_plugin.video.sampling import Sampling


def frames(count):
    pixels = torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1).repeat(1, 3, 2, 2)
    return Frames(pixels, np.arange(count) / 2, tuple(range(0, 3 * count, 3)), 6.0, 3 * count)


def test_reversed_frames_keep_the_clock():
    before = frames(5)
    after = reordered(before, "reversed", "q")
    assert after.pixels[:, 0, 0, 0].tolist() == [4, 3, 2, 1, 0]
    assert after.indices == (12, 9, 6, 3, 0)
    assert after.pts_seconds.tolist() == before.pts_seconds.tolist()
    assert after.metadata() == before.metadata()
    assert torch.equal(reordered(after, "reversed", "q").pixels, before.pixels)
    after.pixels[:] = 0
    assert before.pixels[4, 0, 0, 0] == 4  # no shared memory


@pytest.mark.parametrize("count", [2, 3, 16, 200])
def test_shuffled_frames_are_all_there_in_another_order(count):
    before = frames(count)
    for seed in ("a", "b/0", "“é”", "\ud800"):
        after = reordered(before, "shuffled", seed)
        found = after.pixels[:, 0, 0, 0].tolist()
        assert sorted(found) == list(range(count))
        assert found != list(range(count))
        assert after.indices == tuple(3 * place for place in found)
        assert torch.equal(after.pixels, reordered(before, "shuffled", seed).pixels)


def test_one_frame_has_one_order():
    for order in ("reversed", "shuffled"):
        assert torch.equal(reordered(frames(1), order, "q").pixels, frames(1).pixels)


def test_the_order_depends_on_the_sample_alone():
    program = (
        "from temporal_plugin.video.reorder import permutation as p; "
        "print(p(20, 'shuffled', 'charades/1').tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(permutation(20, "shuffled", "charades/1").tolist())
    orders = {tuple(permutation(20, "shuffled", str(i)).tolist()) for i in range(50)}
    assert len(orders) == 50


def test_another_order_is_our_mistake():
    with pytest.raises(ValueError, match="order is 'mixed'; allowed are reversed, shuffled"):
        reordered(frames(3), "mixed", "q")


def test_a_real_clip_runs_backwards(clock_video):
    before = load_frames(clock_video, Sampling.from_mapping({"fps": 2.0}), patch_size=14)
    after = reordered(before, "reversed", "q")
    levels = after.pixels.float().mean(dim=(1, 2, 3))
    assert (levels.diff() < 0).all()  # the clip's grey level rises with time
    assert (np.diff(after.pts_seconds) > 0).all()
