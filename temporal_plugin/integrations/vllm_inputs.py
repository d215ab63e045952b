"""What vLLM makes of a prompt: its own input processing, without an engine or weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from temporal_plugin.video.frames import Frames
from temporal_plugin.video.model_view import ModelFamily, ModelView, view_of

PROCESSOR_SETTINGS = {"do_resize": False, "do_sample_frames": False}
"""`mm_processor_kwargs`: the frames have been chosen and have the model's size."""

ENGINE_SETTINGS = {
    # vLLM 0.31 normalises Qwen2.5-VL's pixels on the device with one multiply-add, transformers
    # subtracts and divides: the last bit differs. The trainer uses transformers, so that vLLM must.
    "mm_device_do_normalize": False,
}
"""Engine arguments without which vLLM shows the model other pixels than the trainer."""


MAX_TOKENS = 1 << 20  # a reader refuses no prompt for its length


def prompt(
    token_ids: Sequence[int], frames: Sequence[Frames], images: Sequence[Any] = ()
) -> dict[str, Any]:
    """A prompt for `LLM.generate` that tells vLLM the real times.

    Args:
        token_ids: the chat with one unexpanded placeholder per video and picture.
        frames: the videos, in order.
        images: PIL pictures at the model's size, in order.
    """
    media: dict[str, list] = {}
    if frames:
        media["video"] = [(item.pixels, item.metadata()) for item in frames]
    if images:
        media["image"] = list(images)
    found: dict[str, Any] = {"prompt_token_ids": list(token_ids)}
    if media:
        found |= {"multi_modal_data": media, "mm_processor_kwargs": dict(PROCESSOR_SETTINGS)}
    return found


class InputReader:
    """vLLM's input processor of one model, as its engine builds it.

    Args:
        model: checkpoint folder.
        engine_settings: engine arguments beside the model; `ENGINE_SETTINGS` where not given.
    """

    def __init__(self, model: str, engine_settings: Mapping[str, Any] | None = None):
        from vllm.config import set_current_vllm_config
        from vllm.engine.arg_utils import EngineArgs
        from vllm.model_executor.layers.fusion.mm_input_norm import build_mm_input_norm
        from vllm.model_executor.models.registry import ModelRegistry
        from vllm.v1.engine.input_processor import InputProcessor

        settings = ENGINE_SETTINGS if engine_settings is None else engine_settings
        config = EngineArgs(
            model=model,
            dtype="float32",  # another one would round the pixels before they can be compared
            enforce_eager=True,
            limit_mm_per_prompt={"image": 64, "video": 1},
            mm_processor_cache_gb=0,  # of a video seen before only the engine has the inputs
            **settings,
        ).create_engine_config()
        config.model_config.max_model_len = MAX_TOKENS
        self.processor = InputProcessor(config)
        self.processor.mm_encoder_cache_size = MAX_TOKENS
        self.config = config.model_config.hf_config
        # what the vision tower does first: nothing where the processor has normalised
        with set_current_vllm_config(config):
            self.normalise = build_mm_input_norm(config.model_config)
        architecture, _ = ModelRegistry.resolve_model_cls(
            config.model_config.architectures, model_config=config.model_config
        )
        # only the method that computes positions is wanted, and it reads the config alone
        self.model = object.__new__(architecture)
        self.model.__dict__["config"] = self.config

    def view(self, prompt: Mapping[str, Any]) -> ModelView:
        """What the model gets of a prompt as `LLM.generate` takes it.

        Raises:
            ValueError: vLLM refuses the prompt, or it holds no video.
        """
        from vllm import SamplingParams

        request = self.processor.process_inputs(
            "0", prompt, SamplingParams(max_tokens=1), ("generate",)
        )
        if not request.mm_features:
            raise ValueError("the prompt holds no video")
        positions, delta = self.model.get_mrope_input_positions(
            request.prompt_token_ids, request.mm_features
        )
        items = [feature.data.get_data() for feature in request.mm_features]
        pixels = torch.cat([item["pixel_values_videos"] for item in items])
        seconds = [item["second_per_grid_ts"] for item in items if "second_per_grid_ts" in item]
        return view_of(
            ModelFamily.of(self.config),
            self.processor.get_tokenizer().decode,
            token_ids=request.prompt_token_ids,
            pixels=self.normalise(pixels, torch.float32),
            grids=torch.stack([item["video_grid_thw"] for item in items]),
            seconds=torch.stack(seconds) if seconds else None,
            positions=positions,
            next_position=len(request.prompt_token_ids) + delta,
        )
