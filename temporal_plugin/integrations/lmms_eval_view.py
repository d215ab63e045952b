"""What our lmms-eval model classes show the model: their own code, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lmms_eval.api.instance import Instance
from transformers import AutoModelForImageTextToText

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_base import VideoModel
from temporal_plugin.integrations.lmms_eval_model import TemporalQwenVL
from temporal_plugin.integrations.lmms_eval_vllm import TemporalVLLM
from temporal_plugin.integrations.vllm_inputs import InputReader
from temporal_plugin.video.model_view import ModelFamily, ModelView, view_of

GENERATION = {"max_new_tokens": 1, "temperature": 0.0, "do_sample": False, "until": []}


class _Seen(Exception):
    """Ends a request where the weights would be needed; carries what they would have got."""

    def __init__(self, inputs: Any):
        super().__init__("the model's inputs")
        self.inputs = inputs


class TransformersView(TemporalQwenVL):
    """`temporal_qwen_vl` whose forward pass is recorded instead of computed."""

    def __init__(self, pretrained: str, **sampling: Any) -> None:
        super().__init__(pretrained, device="cpu", dtype="float32", **sampling)

    def load_model(self, pretrained: str, dtype: torch.dtype | str, attention: str):
        with torch.device("meta"):  # the structure of the model takes no memory
            model = AutoModelForImageTextToText.from_config(self.config, dtype=dtype)

        def record(_module, _args, inputs):
            raise _Seen(inputs)

        model.register_forward_pre_hook(record, with_kwargs=True)
        return model.eval()

    def view(self, sample: Sample, prompt: str) -> ModelView:
        """What the model gets of one question.

        Args:
            sample: the question; its video's path is absolute.
            prompt: name of the prompt template.
        """
        inputs = _ask(self, sample, prompt)
        length = inputs["input_ids"].shape[1]
        return view_of(
            ModelFamily.of(self.config),
            self.tokenizer.decode,
            token_ids=inputs["input_ids"][0].tolist(),
            pixels=inputs["pixel_values_videos"],
            grids=inputs["video_grid_thw"],
            seconds=inputs.get("second_per_grid_ts"),
            positions=inputs["position_ids"][-3:, 0],  # a row for the text may come before
            next_position=length + int(self.model.model.rope_deltas),
        )


class VLLMView(TemporalVLLM):
    """`temporal_vllm` whose prompts go through vLLM's input processing only."""

    def load_engine(self, pretrained: str, settings: dict[str, Any]):
        self.reader = InputReader(pretrained, settings)
        return self

    def generate(self, rows: list[dict], *_: Any, **__: Any):
        """Stands where `answer` calls the engine."""
        raise _Seen(rows[0])

    def view(self, sample: Sample, prompt: str) -> ModelView:
        """As `TransformersView.view`."""
        return self.reader.view(_ask(self, sample, prompt))


def _ask(model: VideoModel, sample: Sample, prompt: str) -> Mapping[str, Any]:
    document = docs.to_doc(sample, str(sample.video), prompt)
    model.task_dict = {"view": {"test": [document]}}
    request = Instance(
        request_type="generate_until",
        arguments=("", docs.doc_to_messages, dict(GENERATION), 0, "view", "test"),
        idx=0,
        metadata={"task": "view", "doc_id": 0, "repeats": 1},
    )
    try:
        model.generate_until([request])
    except _Seen as seen:
        return seen.inputs
    raise ValueError(failures.reason(str(sample.video)) or "the model class asked nothing")
