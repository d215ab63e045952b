"""Batched generation with plain transformers from token ids and decoded videos."""

import hashlib
from collections.abc import Sequence

import torch

from temporal_plugin.integrations.shared_videos import SharedVideoProcessor, VideoName
from temporal_plugin.video.model_inputs import pad_batch
from temporal_plugin.video.sharing import Memory

#: model inputs of videos that are kept; a group's rollouts may arrive in several batches
VIDEO_BYTES = 1 << 30


class BatchGenerator:
    """A Qwen-VL model that answers several prompts at once and gives their log-probabilities.

    Args:
        path: checkpoint folder.
        config: its transformers config.
        processor: its processor.
        dtype: "float32" or "bfloat16".
    """

    def __init__(self, path: str, config, processor, *, dtype: str = "float32"):
        from transformers import AutoModelForImageTextToText

        self.processor = processor
        if hasattr(processor, "video_processor"):  # makes the patches; they are kept below
            host = SharedVideoProcessor(processor.video_processor, max_bytes=0)
            processor.video_processor = host
        self.model = AutoModelForImageTextToText.from_pretrained(
            path, config=config, dtype=getattr(torch, dtype)
        ).eval()
        self.pad_id = getattr(processor, "tokenizer", processor).pad_token_id
        names = ("image_token_id", "video_token_id")
        # the policy must never write a placeholder: no video stands behind it
        self.forbidden = [[getattr(processor, n)] for n in names if hasattr(processor, n)]
        self._videos: Memory[dict[str, torch.Tensor]] = Memory(VIDEO_BYTES)

    def generate(self, requests: Sequence) -> list[tuple[list[int], list[float]]]:
        """Answer requests that share their sampling settings; all have a `seed`, or none has.

        Returns:
            Per request the answer's token ids (its end token included) and their
            log-probabilities under the unmodified model at the sampling temperature, as the
            trainer computes them.
        """
        sampling = requests[0].sampling
        temperature = float(sampling.get("temperature", 1.0))
        batch = pad_batch([self._row(request) for request in requests], self.pad_id, side="left")
        draws = _draws(requests, temperature)
        with torch.inference_mode():
            output = self.model.generate(
                **batch,
                max_new_tokens=int(sampling["max_tokens"]),
                **draws,
                bad_words_ids=self.forbidden or None,
                pad_token_id=self.pad_id,
                return_dict_in_generate=True,
                output_logits=True,
            )
        tokens = output.sequences[:, batch["input_ids"].shape[1] :]
        log_probs = _log_probs(output.logits, tokens, temperature)
        ends = self.model.generation_config.eos_token_id
        ends = {ends} if isinstance(ends, int) else set(ends)
        return [
            (row[:length], log_probs[index][:length].tolist())
            for index, row in enumerate(tokens.tolist())
            for length in [_answer_length(row, ends)]
        ]

    def _row(self, request) -> dict[str, torch.Tensor]:
        ids = torch.tensor([request.prompt_ids])
        row = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if not hasattr(self.processor, "video_token_id"):
            return row
        if request.image_data:
            found = self.processor.image_processor(
                list(request.image_data), do_resize=False, return_tensors="pt"
            )
            row |= {name: found[name] for name in ("pixel_values", "image_grid_thw")}
        if request.video_data:
            videos = [self._video_inputs(pixels, meta) for pixels, meta in request.video_data]
            row |= {name: torch.cat([video[name] for video in videos]) for name in videos[0]}
        types = torch.zeros_like(ids)
        types[ids == self.processor.image_token_id] = 1
        types[ids == self.processor.video_token_id] = 2
        return row | {"mm_token_type_ids": types}

    def _video_inputs(self, pixels: torch.Tensor, metadata: dict) -> dict[str, torch.Tensor]:
        """Processor output of one video; the rollouts of a group share it."""
        pixels = torch.as_tensor(pixels)
        about = repr([tuple(pixels.shape), sorted(metadata.items())])
        digest = hashlib.blake2b(about.encode(), digest_size=16)
        digest.update(pixels.contiguous().numpy())
        found = self._videos.get(digest.digest())
        if found is None:
            inputs = self.processor(
                text=["<|vision_start|>" + self.processor.video_token + "<|vision_end|>"],
                videos=[pixels],
                video_metadata=[VideoName(metadata, digest.digest())],
                do_sample_frames=False,
                do_resize=False,
                return_tensors="pt",
            )
            wanted = ("pixel_values_videos", "video_grid_thw", "second_per_grid_ts")
            found = {n: torch.as_tensor(inputs[n]) for n in wanted if n in inputs}
            self._videos.put(digest.digest(), found, sum(t.nbytes for t in found.values()))
        return found


def _draws(requests: Sequence, temperature: float) -> dict:
    """How `generate` chooses the tokens: greedily, by one generator, or by the rows' own seeds."""
    greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if temperature <= 0:
        return greedy
    sampling = requests[0].sampling
    top_k, top_p = max(int(sampling.get("top_k", -1)), 0), float(sampling.get("top_p", 1.0))
    if requests[0].seed is None:
        return {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": top_k}
    from temporal_plugin.integrations.transformers_sampling import seeded_processors

    seeds = [request.seed for request in requests]
    chosen = seeded_processors(seeds, temperature=temperature, top_k=top_k, top_p=top_p)
    return {**greedy, "logits_processor": chosen}


def _log_probs(logits: Sequence[torch.Tensor], tokens: torch.Tensor, temperature: float):
    """float32 [B, L]: log-probability of each token; logits is one [B, V] per step."""
    scale = temperature if temperature > 0 else 1.0
    columns = [
        torch.log_softmax(step.float() / scale, -1).gather(1, tokens[:, i : i + 1])
        for i, step in enumerate(logits)
    ]
    return torch.cat(columns, dim=1)


def _answer_length(tokens: list[int], ends: set[int]) -> int:
    """Tokens up to and including the first end token."""
    for index, token in enumerate(tokens):
        if token in ends:
            return index + 1
    return len(tokens)
