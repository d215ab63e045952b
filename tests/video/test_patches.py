"""Patches made in one pass against those of transformers' video processors."""

import pytest
import torch

from temporal_plugin.video.patches import grid_of, to_patches

NORMAL = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.5, 1.0)}


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.slow
@pytest.mark.parametrize("frames", [2, 5, 8])
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_bits_of_the_video_processor(family, frames):
    from transformers import Qwen2VLVideoProcessor, Qwen3VLVideoProcessor

    host = Qwen2VLVideoProcessor() if family == "qwen2_5_vl" else Qwen3VLVideoProcessor()
    edge = host.patch_size * host.merge_size
    pixels = noise(frames, 3, 3 * edge, 5 * edge)
    wanted = host([pixels], do_resize=False, do_sample_frames=False, return_tensors="pt")
    found = to_patches(
        pixels,
        patch_size=host.patch_size,
        merge_size=host.merge_size,
        mean=host.image_mean,
        std=host.image_std,
        rescale_factor=host.rescale_factor,
    )
    assert torch.equal(found, wanted["pixel_values_videos"])
    grid = grid_of(frames, 3 * edge, 5 * edge, patch_size=host.patch_size)
    assert list(grid) == wanted["video_grid_thw"][0].tolist()


def test_merged_patches_lie_together():
    """Of a frame whose value is its column, the first four rows are the first 2 x 2 patches."""
    pixels = torch.arange(8, dtype=torch.uint8).expand(2, 3, 4, 8)
    found = to_patches(
        pixels, patch_size=2, merge_size=2, mean=(0, 0, 0), std=(1, 1, 1), rescale_factor=1
    )
    assert found.shape == (2 * 4, 3 * 2 * 2 * 2)
    assert found[:, 0].tolist() == [0, 2, 0, 2, 4, 6, 4, 6]


def test_a_mapped_tensor_that_cannot_be_written_is_only_read():
    pixels = torch.zeros((), dtype=torch.uint8).expand(4, 3, 4, 4)  # one byte in all
    assert to_patches(pixels, patch_size=2, merge_size=2, **NORMAL).shape == (8, 24)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.zeros(2, 3, 4, 4), r"torch.float32 \(2, 3, 4, 4\); needed: uint8"),
        (noise(2, 4, 4, 4), r"\(2, 4, 4, 4\); needed: uint8 \[T, 3, H, W\]"),
        (noise(2, 3, 6, 4), "frames of 6 x 4 pixels; both must be multiples of 4"),
    ],
)
def test_what_is_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        to_patches(pixels, patch_size=2, merge_size=2, **NORMAL)
