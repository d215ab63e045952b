"""Keeps several GPUs alive when some rollouts hold pictures beside their video, and others none.

verl calls the vision tower once for the pictures of a micro-batch and once more for its videos.
Under FSDP every call gathers the tower's weights from all ranks: where one rank's micro-batch has
both and another's has only videos, the ranks wait for each other for ever. Rollouts that search
have both, those that answer at once do not. Here both go through the tower in one call.
"""

from functools import wraps
from types import ModuleType
from typing import Any

import torch


def fix_vision_calls(module: ModuleType) -> None:
    """Replace `_get_input_embeds` of verl's qwen2_vl or qwen3_vl module; safe to call twice.

    The replacement gives verl's own function a model whose tower has been called already.
    """
    upstream = module._get_input_embeds
    if hasattr(upstream, "__wrapped__"):
        return

    @wraps(upstream)
    def _get_input_embeds(
        model,
        input_ids,
        attention_mask=None,
        pixel_values=None,
        pixel_values_videos=None,
        image_grid_thw=None,
        video_grid_thw=None,
    ):
        media = (pixel_values, pixel_values_videos, image_grid_thw, video_grid_thw)
        if pixel_values is not None and pixel_values_videos is not None:
            model = _Called(model, module.unpack_visual_output, *media)
        return upstream(model, input_ids, attention_mask, *media)

    module._get_input_embeds = _get_input_embeds


class _Called:
    """A model whose vision tower has seen pictures and videos, and now gives each its part."""

    def __init__(self, model, unpack, pixels, video_pixels, grids, video_grids) -> None:
        self._model = model
        tower = model.visual
        together = torch.cat([pixels.type(tower.dtype), video_pixels.type(tower.dtype)])
        found = unpack(tower(together, grid_thw=torch.cat([grids, video_grids])))
        cut = int(grids.prod(-1).sum()) // tower.spatial_merge_size**2
        parts = [_part(found, slice(cut)), _part(found, slice(cut, None))]
        self.visual = _Parts(tower.dtype, parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Parts:
    """In the place of the tower: pictures first, then videos, as verl asks."""

    def __init__(self, dtype: torch.dtype, parts: list) -> None:
        self.dtype, self._parts = dtype, parts

    def __call__(self, pixels: torch.Tensor, grid_thw: torch.Tensor) -> Any:
        return self._parts.pop(0)


def _part(found: tuple, rows: slice) -> tuple:
    """Those rows of the embeddings [tokens, D], and of each of Qwen3-VL's deeper features."""
    embeddings, deeper = found
    return embeddings[rows], deeper and [feature[rows] for feature in deeper]
