"""What EasyR1's dataset, actor and rollout show the model: its own code, without weights or Ray.

`python -m temporal_plugin.integrations.easyr1_view REQUEST OUT`, in an environment of EasyR1's own.
REQUEST is a JSON file with `runs`, a list of objects with `name`, `model` (a checkpoint folder),
`rows` (a file that EasyR1 reads), `data` (settings of EasyR1's dataset) and `temporal` (ours). OUT
becomes a folder with a folder per run, and in it for each row `<row>.json` (the actor's view and
the rollout's prompt) and `<row>.safetensors` (the prompt's pixels), to be compared anywhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from temporal_plugin.integrations import easyr1_patches
from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.video.model_view import ModelFamily, ModelView, view_of


class EasyR1:
    """EasyR1's dataset, worker and rollout of one model, with our patches (see `install`).

    Args:
        model: checkpoint folder.
        rows: data file.
        data: arguments of EasyR1's RLHFDataset.
    """

    def __init__(self, model: str, rows: str, data: Mapping[str, Any]) -> None:
        from transformers import AutoConfig
        from verl.utils.dataset import RLHFDataset
        from verl.utils.tokenizer import get_processor, get_tokenizer

        self.tokenizer = get_tokenizer(model, use_fast=True)
        self.processor = get_processor(model, use_fast=True)
        self.family = ModelFamily.of(AutoConfig.from_pretrained(model))
        self.data = {"video_fps": 2.0, "min_pixels": None, "max_pixels": None, **data}
        self.dataset = RLHFDataset(
            rows, self.tokenizer, self.processor, prompt_key="problem", answer_key="answer",
            truncation="right", **self.data,
        )  # fmt: skip
        self.meta = {name: self.data[name] for name in ("min_pixels", "max_pixels", "video_fps")}

    def item(self, index: int) -> dict[str, Any]:
        """One row as the dataset gives it."""
        return self.dataset[index]

    def actor_inputs(self, item: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """`multi_modal_inputs` of the actor, by the worker's own method."""
        from verl.protocol import DataProto
        from verl.workers.fsdp_workers import FSDPWorker

        batch = DataProto(
            non_tensor_batch={
                "uid": np.array(["0"], dtype=object),
                "multi_modal_data": np.array([item["multi_modal_data"]], dtype=object),
            },
            meta_info=dict(self.meta),
        )
        worker = SimpleNamespace(_cache={}, processor=self.processor)
        FSDPWorker._process_multi_modal_inputs(worker, batch)
        return batch.non_tensor_batch["multi_modal_inputs"][0]

    def actor(self, item: Mapping[str, Any]) -> ModelView:
        """What the log-prob pass shows the model: the dataset's tokens, the worker's pixels."""
        keep = item["attention_mask"].bool()
        inputs = self.actor_inputs(item)
        positions = item["position_ids"][-3:][:, keep]  # the row before is the text's own
        return view_of(
            self.family,
            self.tokenizer.decode,
            token_ids=item["input_ids"][keep].tolist(),
            pixels=inputs["pixel_values_videos"],
            grids=inputs["video_grid_thw"],
            seconds=self._seconds(item),
            positions=positions,
            # the rollout counts on from the last position of the prompt
            next_position=int(item["position_ids"][-3:][0, -1]) + 1,
        )

    def _seconds(self, item: Mapping[str, Any]) -> torch.Tensor | None:
        """The numbers that the dataset computes positions from; it does not hand them on."""
        from verl.utils import dataset

        if self.family.tokens_per_second is None:
            return None
        rates = [
            dataset.process_video(video, **self.meta, return_fps=True)[1]
            for video in item["multi_modal_data"]["videos"]
        ]
        return torch.tensor([2.0 / rate for rate in rates], dtype=torch.float32)

    def rollout_prompt(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt that vLLM's `LLM.generate` is handed, by the rollout's own method."""
        from tensordict import TensorDict
        from verl.protocol import DataProto
        from verl.workers.rollout import vllm_rollout_spmd as host

        names = ("input_ids", "attention_mask", "position_ids")
        batch = DataProto(
            batch=TensorDict({name: item[name][None] for name in names}, batch_size=1),
            non_tensor_batch={
                "raw_prompt_ids": np.array([None], dtype=object),
                "multi_modal_data": np.array([item["multi_modal_data"]], dtype=object),
            },
            meta_info={**self.meta, "eos_token_id": self.tokenizer.eos_token_id},
        )
        batch.non_tensor_batch["raw_prompt_ids"][0] = item["raw_prompt_ids"]
        rollout = object.__new__(host.vLLMRollout)
        engine = object.__new__(_engine(host.LLM, self.tokenizer.eos_token_id))
        vars(rollout).update(
            config=SimpleNamespace(response_length=4),
            pad_token_id=self.tokenizer.pad_token_id,
            return_video_metadata="Qwen3VLProcessor" in type(self.processor).__name__,
            use_tqdm=False,
            lora_kwargs={},
            inference_engine=engine,
            sampling_params=SimpleNamespace(n=1),
        )
        rollout.generate_sequences(batch)
        return engine.prompt


def _engine(llm: type, answer: int) -> type:
    """`llm`, the class that EasyR1 makes its engine of, with vLLM's own part left out."""

    class Base:
        """Stands where vLLM's LLM is."""

        def generate(self, prompts, **_):
            self.prompt = prompts[0]
            output = SimpleNamespace(token_ids=[answer])
            return [SimpleNamespace(outputs=[output])]

    if not getattr(llm, "timed", False):
        return Base
    from temporal_plugin.integrations.easyr1_rollout import timed_llm

    return timed_llm(Base)


def save(found: Mapping[str, Any], prompt: Mapping[str, Any], out: Path) -> None:
    """Write `out`.json and `out`.safetensors."""
    from safetensors.torch import save_file

    videos = prompt["multi_modal_data"]["video"]
    pairs = [video if isinstance(video, tuple) else (video, None) for video in videos]
    pixels = {
        str(number): torch.as_tensor(video).contiguous().clone()
        for number, (video, _) in enumerate(pairs)
    }
    save_file(pixels, out.with_suffix(".safetensors"))
    text = {
        **found,
        "prompt": {
            "prompt_token_ids": [int(token) for token in prompt["prompt_token_ids"]],
            "metadata": [_metadata(item) for _, item in pairs],
            "mm_processor_kwargs": prompt.get("mm_processor_kwargs", {}),
        },
    }
    out.with_suffix(".json").write_text(json.dumps(text, default=_plain), encoding="utf-8")


def _metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if metadata is None else dict(metadata)


def _plain(value: Any) -> Any:
    return value.tolist()


def main(request: str, out: str) -> None:
    """See the module."""
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    easyr1_patches.install()
    for run in asked["runs"]:
        os.environ.update(Settings.from_mapping(run.get("temporal")).to_environment())
        host = EasyR1(run["model"], run["rows"], run["data"])
        folder = Path(out) / run["name"]
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(len(host.dataset)):
            item = host.item(index)
            save(
                {"actor": host.actor(item).to_dict(), "ground_truth": item["ground_truth"]},
                host.rollout_prompt(item),
                folder / str(index),
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
