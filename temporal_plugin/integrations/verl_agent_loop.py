"""The agent loop of a single answer, which keeps prompt and time right in the rollout."""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import ray
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from temporal_plugin.integrations.shared_videos import (
    SentVideos,
    SharedTasks,
    names_of,
    prompt_key,
    share_videos,
    sizes_only,
)
from temporal_plugin.integrations.verl_dataset import (
    VIDEO_FAILURE,
    temporal_settings,
    with_video_settings,
)
from temporal_plugin.integrations.verl_reward import CHANGED_RESPONSE
from temporal_plugin.integrations.verl_rollout_seed import seeded
from temporal_plugin.video.decode import VideoError

logger = logging.getLogger(__name__)
_reordered = SharedTasks()


class TemporalAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn loop, with these differences.

    A Qwen3-VL prompt goes to vLLM with its video unexpanded: verl sends the expanded prompt and
    collapses runs of `<|video_pad|>` only, but Qwen3-VL also expands a timestamp before every
    frame. vLLM would expand the first frame a second time and answer a corrupted prompt.

    A video that fails in the middle of a run is handled as `data.temporal.on_bad_video` says:
    "fail" lets verl's own rule for failed groups decide, "skip" counts it and goes on.

    With `data.temporal.shuffle_consistency` every prompt is also answered on reordered frames, and
    the reward function gets that answer beside the response: one more rollout per prompt.

    The rollouts of a prompt share its token ids, and its frames are written into Ray's object
    store once for all of them; see `shared_videos`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._videos = share_videos(self.processor)
        if self._videos is not None and ray.is_initialized() and self._takes_frames():
            self.server_manager = _SentOnce(self.server_manager, self._videos.sent)
        expands_again = self.rollout_config.name == "vllm"
        if expands_again and type(self.processor).__name__ == "Qwen3VLProcessor":
            token = self.tokenizer.convert_tokens_to_ids
            start, end = token("<|vision_start|>"), token("<|vision_end|>")
            pad = token("<|video_pad|>")
            self.server_manager = _UnexpandedPrompts(self.server_manager, start, end, pad)

    async def run(self, sampling_params: dict[str, Any], **kwargs) -> AgentLoopOutput:
        settings = temporal_settings(self.data_config)
        sampling = seeded(sampling_params, settings["rollout_seed"], kwargs)
        try:
            if settings["shuffle_consistency"] is None:
                return await super().run(sampling, **kwargs)
            output, changed = await asyncio.gather(
                super().run(sampling, **kwargs),
                self._answer_reordered(sampling_params, settings["shuffle_consistency"], kwargs),
            )
            output.extra_fields[CHANGED_RESPONSE] = changed
            return output
        except VideoError as error:
            if settings["on_bad_video"] == "fail":
                raise
            logger.warning("skipped: %s", error)
            return self._without_video(list(kwargs["raw_prompt"]), int(kwargs["global_steps"]))

    async def ct_build_initial_tokens(
        self, messages, tools=None, images=None, videos=None, audios=None, mm_inputs_out=None
    ) -> list[int]:
        """verl's method, run once per prompt and without making the video's patches."""
        upstream = super().ct_build_initial_tokens
        names = names_of(videos)
        if names is None or images or audios or self._videos is None or self._needs_patches():
            return await upstream(messages, tools, images, videos, audios, mm_inputs_out)
        key = prompt_key(names, messages, tools, *self._template_settings())
        return await self._videos.prompts.get(
            key, lambda: upstream(messages, tools=tools, videos=sizes_only(videos))
        )

    def _needs_patches(self) -> bool:
        """Whether the processor's output goes to a server: SGLang takes no frames."""
        teacher = self.config.get("distillation") or {}
        return self.rollout_config.name == "sglang" or bool(teacher.get("enabled"))

    def _takes_frames(self) -> bool:
        return self.rollout_config.name in ("vllm", "transformers")

    def _template_settings(self) -> tuple:
        return (
            dict(self.apply_chat_template_kwargs or {}),
            dict(self.mm_processor_kwargs or {}),
            self.rollout_config.prompt_length,
        )

    async def _answer_reordered(self, sampling_params: dict, order: str, kwargs: dict) -> str:
        """The most likely answer to the same prompt on reordered frames.

        One for all rollouts of a prompt that run in this worker at the same time.
        """
        info = kwargs.get("extra_info") or {}
        messages = with_reordered(kwargs["raw_prompt"], order, str(info.get("id", "")))
        greedy = {**sampling_params, "temperature": 0.0, "top_p": 1.0, "top_k": -1}

        async def answer() -> str:
            upstream = super(TemporalAgentLoop, self).run
            output = await upstream(greedy, **{**kwargs, "raw_prompt": messages})
            return self.tokenizer.decode(output.response_ids, skip_special_tokens=True)

        key = json.dumps([messages, kwargs.get("global_steps")], sort_keys=True, default=str)
        return await _reordered.get(key, answer)

    def _without_video(self, messages: list[dict], step: int) -> AgentLoopOutput:
        """An empty answer that scores 0, is counted and, its mask being 0, teaches nothing."""
        text = [
            part["text"]
            for message in messages
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "text"
        ]
        return AgentLoopOutput(
            prompt_ids=self.tokenizer.encode("\n".join(text))[: self.prompt_length],
            response_ids=[self.tokenizer.eos_token_id],
            response_mask=[0],
            response_logprobs=[0.0],
            multi_modal_data={},
            num_turns=2,
            metrics={},
            extra_fields={
                VIDEO_FAILURE: 1.0,
                "turn_scores": [],
                "tool_rewards": [],
                "min_global_steps": step,
                "max_global_steps": step,
            },
        )


def with_reordered(messages: Sequence[dict], order: str, seed: str) -> list[dict]:
    """A copy of the messages whose video entries ask for reordered frames."""
    return with_video_settings(messages, reorder=[order, seed])


class _SentOnce:
    """A server client that sends a reference to named videos; Ray gives the server the videos."""

    def __init__(self, client, sent: SentVideos):
        self._client, self._sent = client, sent

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def generate(self, request_id, *, video_data=None, **kwargs) -> Any:
        if names_of(video_data) is None:
            return await self._client.generate(request_id, video_data=video_data, **kwargs)
        held = self._sent.send(video_data, ray.put)  # until the server has answered
        return await self._client.generate(request_id, video_data=held.reference, **kwargs)


class _UnexpandedPrompts:
    """A server client whose `generate` collapses the videos of the prompt."""

    def __init__(self, client, start: int, end: int, pad: int):
        self._client, self._ids = client, (start, end, pad)

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def generate(self, request_id, *, prompt_ids: list[int], **kwargs) -> Any:
        collapsed = collapse_videos(list(prompt_ids), *self._ids)
        return await self._client.generate(request_id, prompt_ids=collapsed, **kwargs)


def collapse_videos(ids: list[int], start: int, end: int, pad: int) -> list[int]:
    """Undo Qwen3-VL's expansion of videos in a prompt's token ids.

    An expanded video is `start (timestamp start pad+ end)+ end`; it becomes `start pad end`, which
    is what the chat template wrote. Anything else is left alone. Linear time.
    """
    out: list[int] = []
    position = 0
    while position < len(ids):
        after = _expanded_video_end(ids, position, start, end, pad)
        if after is None:
            out.append(ids[position])
            position += 1
        else:
            out += [start, pad, end]
            position = after
    return out


def _expanded_video_end(ids: list[int], position: int, start: int, end: int, pad: int):
    """The index after the expanded video that starts at `position`, or None."""
    if ids[position] != start or position + 1 >= len(ids) or ids[position + 1] == pad:
        return None
    cursor, frames = position + 1, 0
    while cursor < len(ids) and ids[cursor] != end:
        while cursor < len(ids) and ids[cursor] not in (start, end, pad):
            cursor += 1  # the timestamp's text
        if ids[cursor : cursor + 2] != [start, pad]:
            return None
        cursor += 1
        while cursor < len(ids) and ids[cursor] == pad:
            cursor += 1
        if cursor >= len(ids) or ids[cursor] != end:
            return None
        cursor, frames = cursor + 1, frames + 1
    return cursor + 1 if frames and cursor < len(ids) else None
