"""What verl's supervised fine-tuning shows the model: its dataset and collation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verl.trainer.sft_trainer import create_sft_dataset
from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator
from verl.utils.tokenizer import hf_processor, hf_tokenizer

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_view import MAX_TOKENS
from temporal_plugin.video.model_view import ModelFamily, ModelView, view_of

DATASET = {
    "path": "pkg://temporal_plugin.integrations.verl_sft_dataset",
    "name": "TemporalSFTDataset",
}
"""`data.custom_cls` of an SFT run that uses our dataset."""


class SFT:
    """One row of verl's SFT batch.

    Args:
        model: checkpoint folder.
        prompt: name of the prompt template.
        sampling: the settings of `Sampling`.
        dataset: `data.custom_cls`.
    """

    def __init__(
        self,
        model: str,
        prompt: str,
        sampling: Mapping[str, Any],
        dataset: Mapping[str, str] = DATASET,
    ):
        from omegaconf import open_dict

        self.tokenizer, self.processor = hf_tokenizer(model), hf_processor(model)
        self.data = compose("sft_trainer_engine").data
        with open_dict(self.data):
            self.data.custom_cls = dict(dataset)
            self.data.max_length = MAX_TOKENS
            self.data.temporal = {"prompt": prompt, "sampling": dict(sampling)}

    def view(self, sample: Sample) -> ModelView:
        """What the model gets of one sample, up to its answer."""
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.jsonl"
            rows.write_text(json.dumps(sample.to_dict()) + "\n", encoding="utf-8")
            return self.view_of_file(rows)

    def view_of_file(self, rows: Path) -> ModelView:
        """What the model gets of the first row of a file that the dataset reads."""
        dataset = create_sft_dataset([str(rows)], self.data, self.tokenizer, self.processor)
        batch = SFTTensorCollator(DatasetPadMode(self.data.pad_mode))([dataset[0]])
        ids = batch["input_ids"][0]
        # [4, L] with a row for the text before the three; upstream gives Qwen3-VL only [L]
        positions = batch["position_ids"][0].view(-1, len(ids))[-3:]
        prompt = int(batch["loss_mask"][0].nonzero()[0])  # the loss begins with the answer
        inputs = batch["multi_modal_inputs"][0].data
        return view_of(
            ModelFamily.of(self.processor.config),
            self.tokenizer.decode,
            token_ids=ids[:prompt].tolist(),
            pixels=inputs["pixel_values_videos"],
            grids=inputs["video_grid_thw"],
            seconds=inputs.get("second_per_grid_ts"),
            positions=positions[:, :prompt],
            next_position=int(positions[0, prompt]),
        )
