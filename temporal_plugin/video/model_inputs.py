"""The one place where a prompt and frames become model inputs (SFT, rollout, evaluation)."""

from collections.abc import Sequence

import torch

from temporal_plugin.video.frames import Frames

MODEL_INPUTS = (
    "input_ids",
    "attention_mask",
    "pixel_values",
    "image_grid_thw",
    "pixel_values_videos",
    "video_grid_thw",
    "second_per_grid_ts",
    "mm_token_type_ids",
)

#: those of [1, L], the others are pixels and grids
TOKEN_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids", "labels")


def encode(
    processor,
    messages: Sequence[dict],
    frames: Sequence[Frames],
    *,
    images: Sequence = (),
    video_metadata: Sequence[dict] | None = None,
    add_generation_prompt: bool = True,
) -> dict[str, torch.Tensor]:
    """Encode one chat whose video entries are filled by `frames`, in order.

    Args:
        processor: a Qwen2.5-VL or Qwen3-VL processor.
        messages: chat messages whose user content holds one `{"type": "video"}` per Frames.
        frames: the decoded videos, at the size the model sees.
        images: PIL pictures at the size the model sees, one per `{"type": "image"}`.
        video_metadata: what the processor is told of each video; `Frames.metadata` if not given.
        add_generation_prompt: end with the assistant's header (False for SFT rows that already
            hold the answer).

    Returns:
        The tensors a Qwen-VL model takes (those of MODEL_INPUTS that the family has), with a
        batch dimension of 1; `second_per_grid_ts` is float32 [videos], in seconds.
    """
    text = processor.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
    )
    if video_metadata is None:
        video_metadata = [item.metadata() for item in frames]
    inputs = processor(
        text=[text],
        images=list(images) or None,
        videos=[item.pixels for item in frames] or None,
        video_metadata=list(video_metadata) or None,
        do_sample_frames=False,
        do_resize=False,  # the frames have the model's size already
        return_tensors="pt",
    )
    return {
        name: torch.as_tensor(inputs[name]) for name in MODEL_INPUTS if inputs.get(name) is not None
    }


def encode_text(processor, text: str, images: Sequence = ()) -> dict[str, torch.Tensor]:
    """Encode a piece of a chat as the template wrote it, with one placeholder per picture.

    Args:
        processor: a Qwen2.5-VL or Qwen3-VL processor.
        text: begins and ends between two tokens, as a turn of a chat does.
        images: PIL pictures at the size the model sees, in order.

    Returns:
        As `encode`, of these tokens only.
    """
    inputs = processor(
        text=[text], images=list(images) or None, do_resize=False, return_tensors="pt"
    )
    return {
        name: torch.as_tensor(inputs[name]) for name in MODEL_INPUTS if inputs.get(name) is not None
    }


def extended(row: dict[str, torch.Tensor], *parts: dict[str, torch.Tensor]) -> dict:
    """An encoded row with more tokens and pictures behind it; what was there stays.

    Args:
        row, parts: encoded rows, each with a batch dimension of 1.
    """
    whole = dict(row)
    for part in parts:
        for name, tensor in part.items():
            if name not in whole:
                whole[name] = tensor
            elif name in TOKEN_INPUTS:
                whole[name] = torch.cat([whole[name], tensor], dim=1)
            else:  # pixels and grids, one after the other
                whole[name] = torch.cat([whole[name], tensor])
    return whole


def pad_batch(rows: Sequence[dict[str, torch.Tensor]], pad_id: int, *, side: str) -> dict:
    """Stack encoded rows: token tensors are padded on `side` ("left" | "right"), pixels joined.

    Rows may lack pixels and grids (questions without a video), not token tensors.

    Returns:
        input_ids, attention_mask and mm_token_type_ids as [B, L]; pixels and grids concatenated.
    """
    length = max(row["input_ids"].shape[1] for row in rows)
    batch: dict[str, torch.Tensor] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        tensors = [row[name] for row in rows if name in row]
        if name in TOKEN_INPUTS:
            fill = {"input_ids": pad_id, "labels": -100}.get(name, 0)
            tensors = [_pad(tensor, length, fill, side) for tensor in tensors]
        batch[name] = torch.cat(tensors)
    return batch


def _pad(tensor: torch.Tensor, length: int, fill: int, side: str) -> torch.Tensor:
    missing = length - tensor.shape[1]
    amounts = (missing, 0) if side == "left" else (0, missing)
    return torch.nn.functional.pad(tensor, amounts, value=fill)
