"""Makes transformers tell Qwen2.5-VL the true time of a video.

transformers 5.5 to 5.10, all that verl 0.9 admits, has two defects in
`Qwen2_5_VLModel.get_rope_index`:
- it truncates the seconds per grid to an integer, so that every fractional one is told wrong;
- it continues the text after a video without regard to the video's own temporal positions.
vLLM and Qwen's own code do neither, so rollout and trainer would see different positions.
"""

import logging
from functools import wraps

import torch

from temporal_plugin.video.positions import mrope_positions

logger = logging.getLogger(__name__)
TOO_NEW = "5.11"  # verl 0.9 admits transformers below this; later ones must be looked at again


def fix_qwen2_5_vl_positions() -> None:
    """Replace `Qwen2_5_VLModel.get_rope_index` by `mrope_positions`; safe to call twice.

    Raises:
        RuntimeError: transformers is newer than any version this was checked against.
    """
    import transformers
    from packaging.version import Version
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

    if Version(transformers.__version__) >= Version(TOO_NEW):
        raise RuntimeError(
            f"transformers {transformers.__version__} was not checked for the position ids of "
            f"Qwen2.5-VL; use transformers >=5.5.3,<{TOO_NEW} (what verl 0.9 admits)"
        )
    if getattr(Qwen2_5_VLModel.get_rope_index, "true_time", False):
        return

    @wraps(Qwen2_5_VLModel.get_rope_index)
    def get_rope_index(
        self,
        input_ids,
        mm_token_type_ids=None,
        image_grid_thw=None,
        video_grid_thw=None,
        second_per_grid_ts=None,
        attention_mask=None,
        **_,
    ):
        return batch_positions(
            self.config,
            input_ids,
            mm_token_type_ids,
            image_grid_thw,
            video_grid_thw,
            second_per_grid_ts,
            attention_mask,
        )

    get_rope_index.true_time = True
    Qwen2_5_VLModel.get_rope_index = get_rope_index
    logger.debug("Qwen2.5-VL position ids now follow the real seconds per grid")


def batch_positions(
    config, input_ids, token_types, image_grids, video_grids, seconds, attention_mask
) -> tuple[torch.Tensor, torch.Tensor]:
    """Position ids int64 [3, B, L] and rope deltas [B, 1] of a padded batch.

    Raises:
        ValueError: a batch with videos lacks their seconds per grid; guessing one second, as
            upstream does, would tell the model a wrong time.
    """
    if video_grids is not None and len(video_grids) and seconds is None:
        raise ValueError(
            f"{len(video_grids)} videos without second_per_grid_ts: pass what the processor gave"
        )
    grids = [iter([] if g is None else g.tolist()) for g in (image_grids, video_grids)]
    if token_types is None:  # a text-only batch
        token_types = torch.zeros_like(input_ids)
    seconds = iter([] if seconds is None else [float(value) for value in seconds])
    positions = torch.zeros(3, *input_ids.shape, dtype=torch.long)
    deltas = []
    for row in range(len(input_ids)):
        keep = (
            torch.ones(input_ids.shape[1], dtype=torch.bool)
            if attention_mask is None
            else attention_mask[row].bool().cpu()
        )
        found = mrope_positions(
            token_types[row].cpu()[keep].tolist(),
            *grids,
            seconds,
            tokens_per_second=config.vision_config.tokens_per_second,
            merge_size=config.vision_config.spatial_merge_size,
        )
        positions[:, row, keep] = found
        deltas.append(int(found.max()) + 1 - int(keep.sum()))
    device = input_ids.device
    return positions.to(device), torch.tensor(deltas, device=device).unsqueeze(1)
