"""What verl's rollout, log-prob and SFT show the model: its own code, without workers or weights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.workers.rollout.llm_server import LLMServerClient

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.video.model_view import ModelFamily, ModelView, view_of


RECIPE = "tiny_cpu_vllm"
"""The recipe whose settings decide what the rollout does where the caller names no other."""


def compose(overrides: list[str], recipe: str = RECIPE):
    """verl's whole config as `main_ppo --config-name <recipe> <overrides>` builds it."""
    from hydra import compose as build
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_module("verl.trainer.config", version_base=None):
        return build(recipe, overrides)


class _NoBalancer(LLMServerClient):
    """verl's client of the rollout servers, in front of the one server here."""

    def __init__(self, config, server):
        super().__init__(config)
        self._server = SimpleNamespace(generate=SimpleNamespace(remote=server))

    async def _acquire_server(self, request_id: str, **_):
        return "0", self._server

    def _release_server(self, server_id: str, request_id: str | None = None) -> None:
        pass


class _Engine:
    """Stands where verl's server has vLLM's engine: keeps the prompt and answers one token."""

    def __init__(self, answer: int):
        self.answer, self.prompt = answer, None

    async def generate(self, prompt, **_):
        self.prompt = dict(prompt)
        logprobs = [{self.answer: SimpleNamespace(logprob=0.0)}]
        answer = SimpleNamespace(
            token_ids=[self.answer], logprobs=logprobs, finish_reason="stop", num_preempted=0
        )
        yield SimpleNamespace(outputs=[answer], num_cached_tokens=0, prompt_logprobs=None)


class Rollout:
    """One GRPO rollout of verl up to the engine, and from the answer to the log-prob inputs.

    Everything between a dataset row and the engine, and between the answer and the actor's batch,
    is verl's code or what this package plugs into it: the dataset, the agent loop, the server
    client, the vLLM server, the worker's post-processing.

    Args:
        model: checkpoint folder.
        config: verl's whole config, as `main_ppo` gets it (see `compose`).
    """

    def __init__(self, model: str, config):
        config.actor_rollout_ref.model.path = model
        self.config = config
        self.client = _NoBalancer(config, self._serve)
        self.worker = AgentLoopWorker(config, self.client)
        self.processor, self.tokenizer = self.worker.processor, self.worker.tokenizer
        self.family = ModelFamily.of(self.worker.model_config.hf_config)
        self.engine = _Engine(self.tokenizer.eos_token_id)

    async def _serve(self, **request):
        """The `generate` of verl's vLLM server, with the stand-in for the engine."""
        from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer

        server = object.__new__(vLLMHttpServer)
        vars(server).update(
            config=self.worker.rollout_config,
            model_config=self.worker.model_config,
            engine=self.engine,
            lora_as_adapter=False,
            replica_rank=0,
            global_steps=0,
            _disaggregation_role=None,
            _submission_paused=False,
            _admitting=0,
        )
        return await server.generate(**request)

    def run(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], ModelView]:
        """Roll out one row of the dataset.

        Returns:
            The prompt that vLLM's engine was handed, and what the log-prob pass shows the model.
        """
        output = asyncio.run(self._run(dict(row)))
        return self.engine.prompt, self._log_prob(output)

    async def _run(self, row: dict):
        trajectory = {"step": 0, "sample_index": 0, "rollout_n": 0, "validate": False}
        name = row.pop("agent_name")
        sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "logprobs": True}
        return await self.worker._run_agent_loop(
            sampling, trajectory, agent_name=name, trace=False, global_steps=0, **row
        )

    def _log_prob(self, output) -> ModelView:
        kept = output.attention_mask[0].bool()
        prompt = int(kept[: output.prompt_ids.shape[1]].sum())
        positions = output.position_ids[0][1:, kept]  # the first row is the text's own
        inputs = output.multi_modal_inputs
        return view_of(
            self.family,
            self.tokenizer.decode,
            token_ids=output.input_ids[0][kept][:prompt].tolist(),
            pixels=inputs["pixel_values_videos"],
            grids=inputs["video_grid_thw"],
            seconds=inputs.get("second_per_grid_ts"),
            positions=positions[:, :prompt],
            next_position=int(positions[0, prompt]),
        )
