"""The agent loop `temporal_search`: a preview of a long video, searches for frames, an answer.

The tokens that the model sampled are never tokenised again: each reply of the tool is rendered
alone, by verl's own builder, and appended. `response_mask` is 0 on what was appended, and verl's
attention mask is 1 on all of it: appended frames are seen, and nothing is learnt from writing them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.utils.profiler import simple_timer

from temporal_plugin import answers
from temporal_plugin.integrations.verl_agent_loop import TemporalAgentLoop
from temporal_plugin.integrations.verl_dataset import temporal_settings, video_entries
from temporal_plugin.integrations.verl_frame_search import frame_search
from temporal_plugin.integrations.verl_rollout_seed import seeded
from temporal_plugin.integrations.verl_search_turns import Asking, Tokens
from temporal_plugin.search.client import SearchClient, SearchUnavailable
from temporal_plugin.search.conversation import Call, Conversation, Message, verify_messages
from temporal_plugin.search.frame_search import SearchError
from temporal_plugin.search.rollout_settings import RolloutSettings
from temporal_plugin.spans import Span
from temporal_plugin.video.decode import VideoError

logger = logging.getLogger(__name__)

SEARCH = "search"
"""In `extra_fields`, and so in the reward function's `extra_info`: what the search came to."""
_clients: dict[str, SearchClient] = {}


class TemporalSearchLoop(TemporalAgentLoop):
    """Searches over several turns as `data.temporal.search` says (`search.rollout_settings`)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.search = search_settings(self.data_config, self.response_length)
        self._end_id = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    async def run(self, sampling_params: dict[str, Any], **kwargs) -> AgentLoopOutput:
        settings = temporal_settings(self.data_config)
        sampling = seeded(sampling_params, settings["rollout_seed"], kwargs)
        try:
            return await self._run(sampling, **kwargs)
        except VideoError as error:  # of the preview; a search that fails is part of a rollout
            if settings["on_bad_video"] == "fail":
                raise
            logger.warning("skipped: %s", error)
            return self._without_video(list(kwargs["raw_prompt"]), int(kwargs["global_steps"]))

    async def _run(self, sampling: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        truth = answers.decode_truth(kwargs["reward_model"]["ground_truth"])
        if truth.duration is None:
            raise ValueError(f"sample {truth.id!r} has no duration, which a search needs")
        messages = list(kwargs["raw_prompt"])
        videos = (await self.process_multi_modal_info(messages)).get("videos")
        inputs: dict[str, Any] = {}
        self._assert_mm_supported(True)
        ids = await self.ct_build_initial_tokens(messages, videos=videos, mm_inputs_out=inputs)
        payload = self.build_sglang_video_payload(videos, inputs)
        ask = Asking(self, sampling, videos, payload, int(priority))
        talk = Conversation(
            messages,
            duration_seconds=truth.duration,
            contract=kwargs["extra_info"]["contract"],
            limits=self.search.limits,
        )
        tokens = await self._converse(talk, Tokens(ids, len(ids)), ask, video_entries(messages)[0])
        verified = await self._verify(talk, truth, ask) if talk.answer else None
        return self._output(talk, tokens, videos, verified, ask)

    async def _converse(
        self, talk: Conversation, tokens: Tokens, ask: Asking, video: Mapping
    ) -> Tokens:
        """Turn after turn until it is over; the tokens of all of it."""
        while not talk.over:
            room = talk.room(len(tokens.mask))
            found = await ask(tokens.ids, tokens.images, room)
            tokens = tokens.sampled(found.token_ids, found.log_probs)
            text = self.tokenizer.decode(found.token_ids, skip_special_tokens=True)
            reply = talk.said(text, cut=len(found.token_ids) >= room)
            if isinstance(reply, Call):
                with simple_timer("tool_calls", ask.metrics):
                    reply = await self._seek(talk, reply, video)
            if reply is None:
                break
            longer = await self._appended(tokens, reply)
            if talk.room(len(longer.mask)) < self.search.limits.tokens_per_turn:
                longer = await self._appended(tokens, talk.no_room())
            if talk.room(len(longer.mask)) == 0:
                talk.overflow()
                break  # without what does not fit
            tokens = longer
        return tokens

    async def _seek(self, talk: Conversation, call: Call, video: Mapping) -> list[Message]:
        """What the search brings, or why it brings nothing; only a mistake of ours raises."""
        clip = Span(*video["clip"]) if video.get("clip") else None
        window = call.start_seconds, call.end_seconds, call.num_frames
        client = search_client(self.search, self.processor.image_processor.patch_size)
        try:
            seek = client.seek(video["video"], call.query, *window, clip=clip)
            return talk.found(await asyncio.wait_for(seek, self.search.seek_seconds))
        except SearchError as error:
            return talk.failed(f"{error}.")
        except VideoError as error:
            logger.warning("a search failed: %s", error)
            return talk.failed("the frames of this part cannot be read.", ours=True)
        except (SearchUnavailable, asyncio.TimeoutError) as error:
            logger.warning("a search failed: %s: %s", type(error).__name__, error)
            return talk.failed("the search is not available at the moment.", ours=True)

    async def _appended(self, tokens: Tokens, messages: list[Message]) -> Tokens:
        """The tokens with those of the messages and of the next turn's header behind them."""
        images = [p["image"] for m in messages for p in m["content"] if p["type"] == "image"]
        # a turn that was cut off lacks its end, which the template and verl's builder expect
        closed = tokens if tokens.ids[-1] == self._end_id else tokens.given([self._end_id], [])
        merge = self.continuous_token_builder.merge_context_tokens
        merged = await self.loop.run_in_executor(None, lambda: merge([], messages, closed.ids))
        if merged.removed_prefix_token_count:
            raise ValueError(
                f"verl's {type(self.continuous_token_builder).__name__} takes back tokens that "
                "the model has written; use Qwen2.5-VL or Qwen3-VL"
            )
        return closed.given(merged.token_ids[len(closed.ids) :], images)

    async def _verify(self, talk: Conversation, truth: answers.Truth, ask: Asking) -> dict | None:
        """The same policy's answer from the searched frames alone; None where there are none.

        No preview and no tool; its tokens are in no batch, so that it gets no gradient.
        """
        if self.search.verify is None:
            return None
        prompt = self.search.verify.prompt_for(truth.task)
        messages = verify_messages(talk.shown, prompt, truth)
        if messages is None:
            return None
        images = [part["image"] for shown in talk.shown for part in shown if "image" in part]
        build = self.continuous_token_builder.build_initial_tokens
        ids = await self.loop.run_in_executor(None, lambda: build(messages, images=images))
        found = await ask(ids, images, self.search.verify.tokens, preview=False)
        text = self.tokenizer.decode(found.token_ids, skip_special_tokens=True)
        return {"text": text, "contract": prompt.contract}

    def _output(self, talk, tokens: Tokens, videos, verified, ask: Asking) -> AgentLoopOutput:
        if not tokens.mask:  # the server gave nothing at all
            tokens = tokens.given([self.tokenizer.eos_token_id], [])
        found = {
            "answer": talk.answer,
            "well_formed": talk.well_formed,
            "verified": verified,
            "counters": talk.counters(),
        }
        images = {"images": tokens.images} if tokens.images else {}
        return AgentLoopOutput(
            prompt_ids=tokens.ids[: tokens.prompt_length],
            response_ids=tokens.ids[tokens.prompt_length :],
            response_mask=tokens.mask,
            response_logprobs=tokens.log_probs,
            multi_modal_data={"videos": videos, **images},
            mm_processor_kwargs=self._get_mm_processor_kwargs(None),
            num_turns=sum(message["role"] != "system" for message in talk.messages),
            metrics=ask.metrics,
            extra_fields=ask.extra_fields | {SEARCH: found, "turn_scores": [], "tool_rewards": []},
        )


def search_settings(data_config: Mapping, response_length: int) -> RolloutSettings:
    """`data.temporal.search`, checked.

    Raises:
        ValueError: it is not set, or holds something wrong.
    """
    given = temporal_settings(data_config)["search"]
    if given is None:
        raise ValueError("the agent loop temporal_search needs data.temporal.search")
    if OmegaConf.is_config(given):
        given = OmegaConf.to_container(given, resolve=True)
    return RolloutSettings.from_mapping(given, tokens=response_length)


def search_client(settings: RolloutSettings, patch_size: int) -> SearchClient:
    """This process's client of the frame search; one for equal settings."""
    frames = {"patch_size": patch_size, **settings.frames}
    key = json.dumps(frames, sort_keys=True)
    if key not in _clients:
        _clients[key] = frame_search(frames)
    return _clients[key]
