"""What verl's rollout and log-prob pass show the model: verl's own code, without weights or Ray."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils.dataset.rl_dataset import get_dataset_class
from verl.utils.import_utils import load_class_from_fqn
from verl.workers.rollout.llm_server import LLMServerClient

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_dataset import with_video_settings
from temporal_plugin.integrations.vllm_inputs import ENGINE_SETTINGS
from temporal_plugin.video.model_view import ModelFamily, ModelView, view_of

RECIPE = "tiny_cpu_vllm"
"""The recipe whose settings count where the caller names no other."""

MAX_TOKENS = 131_072  # no prompt is to be refused for its length here


def rollout_config(model: str, prompt: str, sampling: Mapping[str, Any], recipe: str = RECIPE):
    """verl's whole config for one kind of question.

    Args:
        model: checkpoint folder.
        prompt: name of the prompt template.
        sampling: the settings of `Sampling`.
        recipe: the config that decides everything else.
    """
    from omegaconf import open_dict

    config = compose(recipe)
    with open_dict(config):
        config.actor_rollout_ref.model.path = model
        config.actor_rollout_ref.rollout.prompt_length = MAX_TOKENS
        config.actor_rollout_ref.rollout.max_model_len = 2 * MAX_TOKENS
        config.data.temporal.prompt = prompt
        config.data.temporal.sampling = dict(sampling)
    return config


def engine_settings(config) -> dict[str, Any]:
    """What verl's config says of vLLM's engine that decides how it reads a prompt."""
    settings = config.actor_rollout_ref.rollout.engine_kwargs.get("vllm") or {}
    return {name: settings[name] for name in ENGINE_SETTINGS if settings.get(name) is not None}


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
        self.answer, self.prompt = answer, {}

    async def generate(self, prompt, **_):
        self.prompt = dict(prompt)
        logprobs = [{self.answer: SimpleNamespace(logprob=0.0)}]
        answer = SimpleNamespace(
            token_ids=[self.answer], logprobs=logprobs, finish_reason="stop", num_preempted=0
        )
        yield SimpleNamespace(outputs=[answer], num_cached_tokens=0, prompt_logprobs=None)


class _Queue:
    """Stands where verl's workers have the TransferQueue: keeps what the trainer would take."""

    def __init__(self):
        self.fields: Any = None

    def init(self) -> None:
        pass

    async def async_kv_batch_put(self, *, fields, **_) -> None:
        self.fields = fields


class Rollout:
    """One GRPO rollout of verl up to the engine, and from the answer to the trainer's batch.

    Everything between a dataset row and the engine, and between the answer and the queue that the
    trainer reads, is verl's code or what this package plugs into it: dataset, agent loop, server
    client, vLLM server and the worker's post-processing.

    Args:
        config: verl's whole config, see `rollout_config`.
    """

    def __init__(self, config):
        self.config, self.queue = config, _Queue()
        with self._own_queue():
            self.worker = _worker_class(config)(config, _NoBalancer(config, self._serve))
        self.processor, self.tokenizer = self.worker.processor, self.worker.tokenizer
        self.family = ModelFamily.of(self.worker.model_config.hf_config)
        self.engine = _Engine(self.tokenizer.eos_token_id)

    def run(self, sample: Sample, **settings: Any) -> tuple[dict[str, Any], ModelView]:
        """Roll out one sample, which names an existing video.

        Args:
            sample: one row of the data.
            settings: for the video entries of its prompt, such as `mask`; see `read_videos`.

        Returns:
            The prompt that vLLM's engine was handed, and what the log-prob pass shows the model.
        """
        row = self._row(sample)
        row["raw_prompt"] = with_video_settings(row["raw_prompt"], **settings)
        with self._own_queue():
            asyncio.run(self._run(row))
        return self.engine.prompt, self._log_prob()

    @contextmanager
    def _own_queue(self) -> Iterator[None]:
        """Meanwhile verl's agent loop puts what the trainer would read where we look."""
        verls, agent_loop_tq.tq = agent_loop_tq.tq, self.queue
        try:
            yield
        finally:
            agent_loop_tq.tq = verls

    def _row(self, sample: Sample) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.jsonl"
            rows.write_text(json.dumps(sample.to_dict()) + "\n", encoding="utf-8")
            dataset = get_dataset_class(self.config.data)(
                data_files=[str(rows)],
                tokenizer=self.tokenizer,
                config=self.config.data,
                processor=self.processor,
            )
            return dataset[0]

    async def _run(self, row: dict) -> None:
        trajectory = {"step": 0, "sample_index": 0, "rollout_n": 0, "validate": False}
        name = row.pop("agent_name")
        sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "logprobs": True}
        place = {"uid": "0", "session_id": 0, "global_steps": 0}
        await self.worker._run_agent_loop(
            sampling, trajectory, agent_name=name, trace=False, **place, **row
        )

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

    def _log_prob(self) -> ModelView:
        row = self.queue.fields[0]
        prompt, inputs = len(row["prompts"]), row["multi_modal_inputs"]
        positions = row["position_ids"][-3:]  # the row before is the text's own
        return view_of(
            self.family,
            self.tokenizer.decode,
            token_ids=row["input_ids"][:prompt].tolist(),
            pixels=inputs["pixel_values_videos"],
            grids=inputs["video_grid_thw"],
            seconds=inputs.get("second_per_grid_ts"),
            positions=positions[:, :prompt],
            next_position=int(positions[0, prompt]),
        )


def _worker_class(config) -> type:
    """The class whose workers verl would start with this config."""
    name = config.actor_rollout_ref.rollout.agent.get("agent_loop_manager_class")
    manager = agent_loop_tq.AgentLoopManagerTQ
    if name:
        manager = load_class_from_fqn(name, "AgentLoopManager")
    actor = manager(config, None).agent_loop_workers_class
    return actor.__ray_metadata__.modified_class.__ray_actor_class__
