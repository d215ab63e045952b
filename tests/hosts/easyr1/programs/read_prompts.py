"""What vLLM's own input processing makes of the prompts that EasyR1's rollout hands over.

`read_prompts.py MODEL FOLDER...`: for each `<row>.json` writes `<row>.rollout.json`, a view.
For a vLLM that works with transformers 4 (0.11, which EasyR1's image has).
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from vllm.config import ModelConfig
from vllm.model_executor.layers.rotary_embedding import MRotaryEmbedding
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.transformers_utils.tokenizer import get_tokenizer

from temporal_plugin.video.model_view import ModelFamily, view_of


def positions_of(config, ids, grids, seconds):
    """As `GPUModelRunner._init_mrope_positions` asks for them."""
    return MRotaryEmbedding.get_input_positions_tensor(
        ids,
        hf_config=config,
        image_grid_thw=[],
        video_grid_thw=[grid.tolist() for grid in grids],
        second_per_grid_ts=seconds,
    )


def view(processor, config, tokenizer, file: Path):
    asked = json.loads(file.read_text())["prompt"]
    pixels = load_file(file.with_suffix(".safetensors"))
    videos = [(pixels[str(i)].numpy(), item) for i, item in enumerate(asked["metadata"])]
    found = processor.apply(
        asked["prompt_token_ids"], {"video": videos}, asked["mm_processor_kwargs"]
    )
    items = [item.get_data() for item in found["mm_kwargs"]["video"]]
    grids = [item["video_grid_thw"] for item in items]
    seconds = [item["second_per_grid_ts"] for item in items if "second_per_grid_ts" in item]
    ids = found["prompt_token_ids"]
    positions, delta = positions_of(config, ids, grids, seconds)
    return view_of(
        ModelFamily.of(config),
        tokenizer.decode,
        token_ids=ids,
        pixels=torch.cat([item["pixel_values_videos"] for item in items]),
        grids=torch.stack(grids),
        seconds=torch.stack(seconds) if seconds else None,
        positions=torch.as_tensor(positions),
        next_position=len(ids) + int(delta),
    )


def main(model: str, *folders: str) -> None:
    settings = ModelConfig(model=model, dtype="float32")
    processor = MULTIMODAL_REGISTRY.create_processor(settings)
    for file in sorted(file for folder in folders for file in Path(folder).glob("[0-9]*.json")):
        if not file.name.endswith(".rollout.json"):
            found = view(processor, settings.hf_config, get_tokenizer(model), file)
            file.with_suffix(".rollout.json").write_text(json.dumps(found.to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
