"""The model class `temporal_qwen_vl`: Qwen2.5-VL or Qwen3-VL on plain transformers.

It shows the model the prompt, frames and times that our training shows it, as both use
`video.decode.load_frames` and `video.model_inputs.encode`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from loguru import logger
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions
from temporal_plugin.spans import Span
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.model_inputs import encode, pad_batch
from temporal_plugin.video.sampling import Sampling

FAMILIES = ("qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
PIXEL_INPUTS = ("pixel_values", "pixel_values_videos")


@dataclass(frozen=True)
class Question:
    """One request: its place among all, its chat and its generation settings."""

    index: int
    messages: list[dict]
    generation: dict[str, Any]
    video: str | None
    clip: Span | None


class TemporalQwenVL(lmms):
    """Answers the chat requests of lmms-eval in batches, greedily unless the task says otherwise.

    Args (of `--model_args`, besides `--batch_size` and `--device`):
        pretrained: folder or hub name of a Qwen2.5-VL or Qwen3-VL checkpoint.
        fps, min_frames, max_frames, min_pixels, max_pixels, total_pixels: as in `Sampling`.
        dtype: bfloat16, float16, float32 or auto (as the checkpoint was saved).
        attn_implementation: sdpa, eager or flash_attention_2.
        workers: threads that decode and encode the next batch while this one is answered.

    A video that cannot be read makes its own question answer "" and count as a failed request.

    Raises:
        ValueError: another family of model, an unknown dtype or a wrong sampling setting.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str = 1,
        device: str | None = None,
        dtype: str = "auto",
        attn_implementation: str = "sdpa",
        fps: float = 2.0,
        min_frames: int = 4,
        max_frames: int = 768,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        total_pixels: int | None = None,
        workers: int = 2,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.sampling = Sampling(
            float(fps), min_frames, max_frames, min_pixels, max_pixels, total_pixels
        )
        self.batch_size = _batch_size(batch_size)
        self.workers = max(1, int(workers))
        self.accelerator = Accelerator()
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self.device = _device(device, self.accelerator)
        config = AutoConfig.from_pretrained(pretrained)
        if config.model_type not in FAMILIES:
            raise ValueError(
                f"{pretrained} is a {config.model_type} model; this class knows "
                f"{', '.join(FAMILIES)}. Our tasks also run with lmms-eval's own model classes"
            )
        if config.model_type == "qwen2_5_vl":
            fix_qwen2_5_vl_positions()
        self.patch_size = config.vision_config.patch_size
        # questions about one video stand together, so that the last two videos are enough
        self.frames = lru_cache(maxsize=2)(self._load_frames)
        self.processor = AutoProcessor.from_pretrained(pretrained)
        self.tokenizer = self.processor.tokenizer
        # as in training's rollout: no video stands behind a placeholder that the model writes
        self.forbidden = [[self.processor.image_token_id], [self.processor.video_token_id]]
        self.model = AutoModelForImageTextToText.from_pretrained(
            pretrained, dtype=_dtype(dtype), attn_implementation=attn_implementation
        )
        self.model.to(self.device).eval()

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """One answer per request, in order."""
        questions = [self._question(index, request) for index, request in enumerate(requests)]
        answers: list[GenerationResult] = [GenerationResult(text="")] * len(requests)
        batches = list(_batches(questions, self.batch_size))
        with (
            ThreadPoolExecutor(self.workers, thread_name_prefix="encode-videos") as pool,
            tqdm(total=len(requests), disable=self.rank != 0, desc="Answering") as bar,
        ):
            for batch, rows in self._encoded(batches, pool):
                ready = [(question, row) for question, row in zip(batch, rows, strict=True) if row]
                if ready:
                    found = self._answer([row for _, row in ready], batch[0].generation)
                    for (question, _), answer in zip(ready, found, strict=True):
                        answers[question.index] = answer
                bar.update(len(batch))
        return answers

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Not offered: a grounding question has one round."""
        raise NotImplementedError("temporal_qwen_vl answers one round (generate_until)")

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not offered: grounding tasks generate."""
        raise NotImplementedError("temporal_qwen_vl generates only (generate_until)")

    def _question(self, index: int, request: Instance) -> Question:
        _, doc_to_messages, generation, doc_id, task, split = request.args
        messages = copy.deepcopy(doc_to_messages(self.task_dict[task][split][doc_id]))
        videos = [part for chat in messages for part in chat["content"] if part["type"] == "video"]
        if len(videos) > 1:
            raise ValueError(f"task {task} asks about {len(videos)} videos at once; allowed: one")
        entry = videos[0] if videos else {}
        clip = None
        if entry.get("end_time") is not None:
            clip = Span(entry.get("start_time") or 0.0, entry["end_time"])
        return Question(index, messages, generation, entry.get("url"), clip)

    def _encoded(
        self, batches: Sequence[list[Question]], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[list[Question], list[dict | None]]]:
        """Each batch with its encoded rows, the next batch being encoded meanwhile."""
        waiting: list[Future] = []
        for number, batch in enumerate(batches):
            if number == 0:
                waiting = [pool.submit(self._encode, batch)]
            if number + 1 < len(batches):
                waiting.append(pool.submit(self._encode, batches[number + 1]))
            yield batch, waiting.pop(0).result()

    def _load_frames(self, video: str, clip: Span | None) -> Frames:
        return load_frames(video, self.sampling, clip=clip, patch_size=self.patch_size)

    def _encode(self, batch: list[Question]) -> list[dict | None]:
        """Model inputs of each question, None where its video cannot be read."""
        rows: list[dict | None] = []
        for question in batch:
            if question.video is None:  # left out by the task: already known as failed
                rows.append(None)
                continue
            try:
                frames = self.frames(question.video, question.clip)
            except ValueError as error:  # VideoError, and pictures of a shape beyond all limits
                logger.error(f"a question goes unanswered: {error}")
                failures.record(question.video, str(error))
                rows.append(None)
                continue
            rows.append(encode(self.processor, question.messages, [frames]))
        return rows

    @torch.inference_mode()
    def _answer(self, rows: list[dict], generation: dict[str, Any]) -> list[GenerationResult]:
        batch = pad_batch(rows, self.tokenizer.pad_token_id, side="left")
        inputs = {
            name: tensor.to(self.device, self.model.dtype if name in PIXEL_INPUTS else None)
            for name, tensor in batch.items()
        }
        output = self.model.generate(
            **inputs,
            **_generate_options(generation),
            bad_words_ids=self.forbidden,
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


def _batches(questions: Sequence[Question], size: int) -> Iterator[list[Question]]:
    """Batches of equal generation settings, questions about one video together."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(repr(sorted(question.generation.items())), []).append(question)
    for group in groups.values():
        group.sort(key=lambda question: (question.video or "", question.index))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _generate_options(generation: dict[str, Any]) -> dict[str, Any]:
    """lmms-eval's generation_kwargs as transformers takes them; temperature 0 is greedy."""
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
    else:  # silences a warning about what the checkpoint's own generation config holds
        options |= {"temperature": None, "top_p": None, "top_k": None}
    return options


def _cut(text: str, until: Sequence[str]) -> str:
    """The text before the first stop string."""
    ends = [text.find(stop) for stop in until if stop and stop in text]
    return text[: min(ends)] if ends else text


def _batch_size(value: int | str) -> int:
    if str(value).isdigit() and int(value) > 0:
        return int(value)
    raise ValueError(f"--batch_size is {value!r}; allowed: a whole number from 1")


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
