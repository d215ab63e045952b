"""The dataset class of verl's SFT trainer: `data.custom_cls`, as in `verl_dataset`.

Rows are Samples. A model is shown the very prompt, frames and times that the rollout shows it
later; upstream's class hands the processor a decoded video without its times. What it learns to
answer is the row's own `messages` (a whole chat), else its `response`, else the truth in the form
that the prompt asks for, with the row's `reasoning` where there is any.
"""

import copy
import logging
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.utils.dataset.dataset_utils import DatasetPadMode
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.tokenizer import build_multimodal_processor_inputs

from temporal_plugin import prompts
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.shared_videos import SharedVideoProcessor
from temporal_plugin.integrations.verl_dataset import (
    chat,
    prompt_of,
    read_samples,
    read_videos,
    require_files,
    temporal_settings,
    video_entries,
    with_video_entries,
)
from temporal_plugin.video.decode import VideoError

logger = logging.getLogger(__name__)
#: the frames have the model's size already
PROCESSOR_SETTINGS = {"do_resize": False}


class TemporalSFTDataset(MultiTurnSFTDataset):
    """Reads our Samples; settings lie under `data.temporal`, as in `TemporalDataset`.

    An item holds `input_ids`, `loss_mask` int64 [L] (1 on the answers, their end token included),
    `position_ids` int64 [4, L], `multi_modal_inputs`, and with `pad_mode` "right" also
    `attention_mask`, everything padded to `max_length`.
    """

    def __init__(self, parquet_files, tokenizer, config, processor=None, max_samples=-1):
        self.config = config
        self.settings = temporal_settings(config)
        if processor is not None:  # patches in one pass; a worker process keeps none of them
            processor = copy.copy(processor)
            host = SharedVideoProcessor(processor.video_processor, max_bytes=0)
            processor.video_processor = host
        super().__init__(parquet_files, tokenizer, config, processor, max_samples)

    def _download(self) -> None:
        require_files(self.parquet_files)
        if self.processor is None:
            raise ValueError("TemporalSFTDataset needs a model with a processor that takes videos")

    def _read_files_and_process(self) -> None:
        samples = read_samples(self.parquet_files, self.config)
        if 0 < self.max_samples < len(samples):
            order = np.arange(self.max_samples)
            if self.shuffle:
                order = np.random.default_rng(self.seed).permutation(len(samples))[: len(order)]
            samples = [samples[index] for index in order]
        if not samples:
            raise ValueError(f"no sample is left in {self.parquet_files}: see the log above")
        self.samples = samples
        logger.info("%d samples from %s", len(samples), list(self.parquet_files))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> dict[str, Any]:
        sample = self.samples[item]
        prompt = prompt_of(self.settings, sample.task)
        messages = taught_messages(prompt, sample, self.settings["sampling"])
        patch_size = self.processor.video_processor.patch_size
        try:
            videos = read_videos(video_entries(messages), patch_size, self.settings["frame_store"])
        except VideoError as error:
            if self.settings["on_bad_video"] == "fail":
                raise
            logger.warning("teaches nothing: %s", error)
            return self._item(sample, *self._encode(without_videos(messages), []), teach=False)
        return self._item(sample, *self._encode(messages, videos), teach=True)

    def _encode(self, messages: list[dict], videos: list) -> tuple:
        """(token ids [L], loss mask [L], processor output) of a chat."""
        found = turns(self.processor, messages, self.apply_chat_template_kwargs)
        return self._encode_pieces([(text, [], taught) for text, taught in found], videos)

    def _encode_pieces(self, pieces: list[tuple[str, list, bool]], videos: list) -> tuple:
        """The same of a chat in pieces: text, its pictures, and whether it is taught."""
        ids, mask, inputs, videos = [], [], {}, list(videos)
        for text, images, taught in pieces:
            count = text.count(self.processor.video_token)
            shown, videos = videos[:count], videos[count:]
            part = dict(
                build_multimodal_processor_inputs(
                    self.processor,
                    text=[text],
                    images=images or None,
                    videos=shown or None,
                    mm_processor_kwargs=self.config.get("mm_processor_kwargs")
                    or PROCESSOR_SETTINGS,
                )
            )
            tokens = part.pop("input_ids")[0]
            ids.append(tokens)
            mask.append(self._taught(tokens) if taught else torch.zeros_like(tokens))
            for name in set(part) - {"attention_mask"}:
                inputs.setdefault(name, []).append(torch.as_tensor(part[name]))
        types = inputs.pop("mm_token_type_ids", None)
        inputs = {name: torch.cat(parts) for name, parts in inputs.items()}
        if types is not None:  # verl's position ids ask for them
            inputs["mm_token_type_ids"] = torch.cat(types, dim=1)
        return torch.cat(ids), torch.cat(mask), inputs

    def _taught(self, tokens: torch.Tensor) -> torch.Tensor:
        """1 up to the end token: what the template writes behind it is never generated."""
        ends = (tokens == self.tokenizer.eos_token_id).nonzero()
        mask = torch.ones_like(tokens)
        if len(ends):
            mask[int(ends[-1]) + 1 :] = 0
        return mask

    def _item(self, sample: Sample, ids, mask, inputs, *, teach: bool) -> dict[str, Any]:
        if len(ids) > self.max_length:
            raise ValueError(
                f"sample {sample.id!r} has {len(ids)} tokens, data.max_length is "
                f"{self.max_length}; raise it or lower data.temporal.sampling (a video cannot "
                "be truncated)"
            )
        attention = torch.ones_like(ids)
        # the method by which verl places the tokens of a rollout for the log-prob
        positions = AgentLoopWorker._compute_position_ids(
            SimpleNamespace(processor=self.processor), ids[None], attention[None], inputs
        )[0]
        item = {"input_ids": ids, "position_ids": positions, "loss_mask": mask * int(teach)}
        if self.pad_mode == DatasetPadMode.RIGHT:
            missing = self.max_length - len(ids)
            item["attention_mask"] = attention
            fills = {"input_ids": self.tokenizer.pad_token_id or 0}
            item = {
                name: torch.nn.functional.pad(value, (0, missing), value=fills.get(name, 0))
                for name, value in item.items()
            }
        inputs.pop("mm_token_type_ids", None)
        return {**item, "multi_modal_inputs": inputs} if inputs else item


def taught_messages(prompt: prompts.Prompt, sample: Sample, sampling: Mapping) -> list[dict]:
    """The chat that the model is to learn, its last message an answer.

    Raises:
        ValueError: the sample's own messages do not end with the assistant's.
    """
    own = sample.extra.get("messages")
    if own is not None:
        if not own or own[-1].get("role") != "assistant":
            raise ValueError(
                f"sample {sample.id!r}: `messages` must end with the assistant's answer"
            )
        return with_video_entries([dict(message) for message in own], sample, sampling)
    answer = sample.extra.get("response")
    if answer is None:
        answer = gold_answer(sample, prompt.contract)
    return [*chat(prompt, sample, sampling), {"role": "assistant", "content": answer}]


def without_videos(messages: Sequence[dict]) -> list[dict]:
    """The chat without its video entries."""
    return [
        {**message, "content": [part for part in message["content"] if part["type"] != "video"]}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def turns(processor, messages: Sequence[dict], settings: Mapping) -> list[tuple[str, bool]]:
    """The chat's text in pieces, each either given to the model or taught to it.

    A piece that is taught begins where generation would begin.

    Raises:
        ValueError: the template writes a turn in another way once others follow (some drop the
            reasoning of earlier turns), so that no text can be both given and generated.
    """

    def render(count: int, generate: bool) -> str:
        return processor.apply_chat_template(
            list(messages[:count]), tokenize=False, add_generation_prompt=generate, **settings
        )

    pieces, done = [], ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = render(number, True), render(number + 1, False)
        if not (before.startswith(done) and after.startswith(before)):
            raise ValueError(
                f"the chat template rewrites turn {number} of {len(messages)} when others follow; "
                "split the chat into one row per answer"
            )
        pieces += [(before[len(done) :], False), (after[len(before) :], True)]
        done = after
    return pieces
