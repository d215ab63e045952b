"""`temporal_qwen_vl` with `backend=vllm`, also named `temporal_vllm`: Qwen-VL on vLLM.

lmms-eval's own vLLM classes send bare frames without times. Here vLLM gets what it gets in our
training's rollout: the unexpanded prompt, the frames at the model's size and their real times.
"""

from __future__ import annotations

import os
from typing import Any

from lmms_eval.api.instance import GenerationResult, TokenCounts

from temporal_plugin.integrations import vllm_inputs
from temporal_plugin.integrations.lmms_eval_base import Question, split_sampling
from temporal_plugin.integrations.lmms_eval_qwen import SEED, QwenModel
from temporal_plugin.video.frames import Frames

NEVER = -100.0  # logit bias that rules a token out


class TemporalVLLM(QwenModel):
    """Answers greedily unless the task says otherwise.

    Args (of `--model_args`, besides `--batch_size`):
        pretrained: folder or hub name of a Qwen2.5-VL or Qwen3-VL checkpoint.
        batch_size: questions handed to the engine at once; it schedules them itself, so that
            64 or more keep it busy.
        draw_seed: see `QwenModel`; `seed` is that of vLLM's engine.
        workers, frame_store, resume: see `VideoModel`.
        images: most pictures in one question; vLLM sets memory aside for them.
        fps, min_frames, max_pixels and all other settings of `Sampling`.
        Anything else is an engine argument of vLLM: tensor_parallel_size, max_model_len, dtype,
        gpu_memory_utilization, enforce_eager, ...

    Raises:
        ValueError: another family of model, a wrong sampling setting or engine argument, or
            several processes: vLLM spreads over devices by tensor_parallel_size.
    """

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str = 1,
        device: str | None = None,
        workers: int | None = None,
        frame_store: str | None = None,
        resume: str | None = None,
        images: int = 0,
        max_batch_size: int | None = None,
        draw_seed: int | None = None,
        **arguments: Any,
    ) -> None:
        sampling, engine = split_sampling(arguments)
        super().__init__(
            pretrained,
            draw_seed,
            batch_size=batch_size,
            workers=workers,
            frame_store=frame_store,
            resume=resume,
            sampling=sampling,
        )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError(
                f"vLLM runs in one process, WORLD_SIZE is {os.environ['WORLD_SIZE']}; "
                "start lmms-eval without a launcher and set tensor_parallel_size"
            )
        self.images = int(images)
        self.engine_settings = {**vllm_inputs.ENGINE_SETTINGS, **engine}
        self.engine = self.load_engine(pretrained, self.engine_settings)

    def load_engine(self, pretrained: str, settings: dict[str, Any]):
        """vLLM's engine with the weights."""
        # a forked child of a process that has decoded or resized can hang
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        from vllm import LLM

        limits = {"image": self.images, "video": 1}
        return LLM(pretrained, **{"limit_mm_per_prompt": limits, "seed": 0, **settings})

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"engine": self.engine_settings}

    def prepare(self, question: Question, frames: Frames | None) -> dict[str, Any]:
        if len(question.images) > self.images:
            raise ValueError(
                f"a question has {len(question.images)} pictures, images is {self.images}; "
                "give the most pictures of one question as images=N in --model_args"
            )
        text = self.processor.apply_chat_template(
            question.messages, tokenize=False, add_generation_prompt=True
        )
        videos = [] if frames is None else [frames]
        prompt = vllm_inputs.prompt(
            self.tokenizer(text)["input_ids"], videos, self.pictures(question)
        )
        seed = self.seed_of(question)
        return prompt if seed is None else {**prompt, SEED: seed}

    def answer(self, rows: list[dict], generation: dict[str, Any]) -> list[GenerationResult]:
        params: Any = self._sampling_params(generation)
        if any(SEED in row for row in rows):
            params = [self._sampling_params(generation, row[SEED]) for row in rows]
            rows = [{name: row[name] for name in row if name != SEED} for row in rows]
        outputs = self.engine.generate(rows, params, use_tqdm=False)
        return [
            GenerationResult(
                output.outputs[0].text,
                TokenCounts(output_tokens=len(output.outputs[0].token_ids)),
            )
            for output in outputs
        ]

    def _sampling_params(self, generation: dict[str, Any], seed: int | None = None):
        """lmms-eval's generation_kwargs as vLLM takes them; temperature 0 is greedy."""
        from vllm import SamplingParams

        temperature = float(generation.get("temperature") or 0.0)
        if not generation.get("do_sample", True):
            temperature = 0.0
        options: dict[str, Any] = {"temperature": temperature}
        if temperature > 0:
            names = ("top_p", "top_k")
            options |= {n: generation[n] for n in names if generation.get(n) is not None}
            options["seed"] = seed
        return SamplingParams(
            max_tokens=int(generation.get("max_new_tokens", 128)),
            stop=[stop for stop in generation.get("until") or [] if stop],
            logit_bias=dict.fromkeys(self.forbidden, NEVER),
            **options,
        )
