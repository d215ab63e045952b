"""The model class `temporal_qwen_vl`: Qwen2.5-VL or Qwen3-VL on plain transformers or on vLLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, TokenCounts
from transformers import AutoModelForImageTextToText

from temporal_plugin.integrations.lmms_eval_base import Question, split_sampling
from temporal_plugin.integrations.lmms_eval_qwen import SEED, QwenModel
from temporal_plugin.integrations.shared_videos import VideoName, share_videos
from temporal_plugin.integrations.transformers_sampling import seeded_processors
from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.model_inputs import encode, pad_batch

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
PIXEL_INPUTS = ("pixel_values", "pixel_values_videos")
BACKENDS = ("transformers", "vllm")


class TemporalQwenVL(QwenModel):
    """Answers greedily unless the task says otherwise.

    Args (of `--model_args`, besides `--batch_size` and `--device`):
        pretrained: folder or hub name of a Qwen2.5-VL or Qwen3-VL checkpoint.
        backend: transformers, or vllm: then the arguments are those of `TemporalVLLM`.
        dtype: bfloat16, float16, float32 or auto (as the checkpoint was saved).
        attn_implementation: sdpa, eager or flash_attention_2.
        draw_seed: see `QwenModel`.
        workers, frame_store, resume: see `VideoModel`.
        fps, min_frames, max_pixels and all other settings of `Sampling`.

    Raises:
        ValueError: another family of model, an unknown backend or dtype, a wrong sampling setting.
    """

    def __new__(cls, *args: Any, backend: str = "transformers", **settings: Any):
        """An instance of the class of that backend."""
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}; allowed: {', '.join(BACKENDS)}")
        if backend == "vllm":
            from temporal_plugin.integrations.lmms_eval_vllm import TemporalVLLM

            return TemporalVLLM(*args, **settings)  # another class: `__init__` is not run again
        return super().__new__(cls)

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str = 1,
        device: str | None = None,
        dtype: str = "auto",
        attn_implementation: str = "sdpa",
        workers: int | None = None,
        frame_store: str | None = None,
        resume: str | None = None,
        backend: str = "transformers",
        max_batch_size: int | None = None,
        draw_seed: int | None = None,
        **sampling: Any,
    ) -> None:
        sampling, unknown = split_sampling(sampling)
        super().__init__(
            pretrained,
            draw_seed,
            batch_size=batch_size,
            workers=workers,
            frame_store=frame_store,
            resume=resume,
            sampling=sampling | unknown,  # whose error names the allowed ones
        )
        self.accelerator = Accelerator()
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self.device = _device(device, self.accelerator)
        if self.config.model_type == "qwen2_5_vl":
            fix_qwen2_5_vl_positions()
        share_videos(self.processor)
        self.dtype, self.attention = dtype, attn_implementation
        self.model = self.load_model(pretrained, _dtype(dtype), attn_implementation)

    def load_model(self, pretrained: str, dtype: torch.dtype | str, attention: str):
        """The weights, on the device."""
        model = AutoModelForImageTextToText.from_pretrained(
            pretrained, dtype=dtype, attn_implementation=attention
        )
        return model.to(self.device).eval()

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"dtype": self.dtype, "attention": self.attention}

    def prepare(self, question: Question, frames: Frames | None) -> dict[str, torch.Tensor]:
        videos, names = [], []
        if frames is not None:
            # the name under which the video's patches are made once for all its questions
            names.append(VideoName(frames.metadata(), question.shown))
            videos.append(frames)
        row = encode(
            self.processor,
            question.messages,
            videos,
            images=self.pictures(question),
            video_metadata=names,
        )
        seed = self.seed_of(question)
        return row if seed is None else {**row, SEED: torch.tensor([seed])}

    @torch.inference_mode()
    def answer(self, rows: list[dict], generation: dict[str, Any]) -> list[GenerationResult]:
        batch = pad_batch(rows, self.tokenizer.pad_token_id, side="left")
        seeds = batch.pop(SEED, None)  # [B]
        inputs = {
            name: tensor.to(self.device, self.model.dtype if name in PIXEL_INPUTS else None)
            for name, tensor in batch.items()
        }
        output = self.model.generate(
            **inputs,
            **_generate_options(generation, None if seeds is None else seeds.tolist()),
            bad_words_ids=[[token] for token in self.forbidden],
            pad_token_id=self.tokenizer.pad_token_id,
        )
        # [B, prompt + new] -> [B, new]
        new_tokens = output[:, inputs["input_ids"].shape[1] :]
        texts = self.tokenizer.batch_decode(new_tokens, skip_special_tokens=True)
        counts = (new_tokens != self.tokenizer.pad_token_id).sum(dim=1).tolist()
        until = generation.get("until") or []
        return [
            GenerationResult(_cut(text, until), TokenCounts(output_tokens=count))
            for text, count in zip(texts, counts, strict=True)
        ]


def _generate_options(
    generation: dict[str, Any], seeds: Sequence[int] | None = None
) -> dict[str, Any]:
    """lmms-eval's generation_kwargs as transformers takes them; temperature 0 is greedy.

    `seeds`: one per row, by which it draws.
    """
    temperature = float(generation.get("temperature") or 0.0)
    options = {
        "max_new_tokens": int(generation.get("max_new_tokens", 128)),
        "num_beams": int(generation.get("num_beams") or 1),
        "do_sample": temperature > 0 and generation.get("do_sample", True),
    }
    if options["do_sample"]:
        options["temperature"] = temperature
        for name in ("top_p", "top_k"):
            if generation.get(name) is not None:
                options[name] = generation[name]
    if options["do_sample"] and seeds is not None:
        options["logits_processor"] = seeded_processors(
            seeds,
            temperature=options.pop("temperature"),
            top_k=int(options.pop("top_k", None) or 0),
            top_p=float(options.pop("top_p", None) or 1.0),
        )
        options["do_sample"] = False  # greedy among what the processors have drawn
    if not options[
        "do_sample"
    ]:  # silences a warning about what the checkpoint's own generation config holds
        options |= {"temperature": None, "top_p": None, "top_k": None}
    return options


def _cut(text: str, until: Sequence[str]) -> str:
    """The text before the first stop string."""
    ends = [text.find(stop) for stop in until if stop and stop in text]
    return text[: min(ends)] if ends else text


def _dtype(name: str) -> torch.dtype | str:
    if name == "auto":
        return name
    if name not in DTYPES:
        raise ValueError(f"dtype is {name!r}; allowed: auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _device(name: str | None, accelerator: Accelerator) -> torch.device:
    if name and name != "cuda":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", accelerator.local_process_index)
    if name == "cuda":
        raise ValueError("--device cuda, but torch finds no CUDA device; use --device cpu")
    return torch.device("cpu")
