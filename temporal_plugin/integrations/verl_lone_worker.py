"""One agent loop worker of verl without a cluster: for tests and benchmarks.

verl's own worker and agent loop run as they are, from a dataset row to the tensors that go to the
trainer. Only what would need other processes is replaced: the server answers a fixed text, the
reward is 0, and what goes into the transfer queue is kept in a list.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import hydra
import torch
from verl.experimental.agent_loop import agent_loop
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.workers.rollout.replica import TokenOutput

from temporal_plugin.integrations.verl_agent_manager import UPSTREAM_WORKER

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "logprobs": True}


class LoneWorker:
    """A worker that rolls out one prompt at a time.

    Args:
        config: verl's whole config.
        answer: what the server answers.
        worker_class: verl's worker for the transfer queue, or a subclass of it.
        keep: whether `run` returns what goes to the trainer; False lets go of it at once, as
            the transfer queue does once it has written it.
    """

    def __init__(
        self, config, answer: str, worker_class: type = UPSTREAM_WORKER, *, keep: bool = True
    ) -> None:
        self.config, self.answer, self._keep = config, answer, keep
        self.prompts: list[list[int]] = []
        self.videos: list[Any] = []
        self.rows: list[dict[str, Any]] = []
        self.inputs: dict[str, torch.Tensor] = {}
        reward = SimpleNamespace(compute_score=SimpleNamespace(remote=self._score))
        with self._no_queue():
            self.worker = worker_class(config, self, reward_loop_worker_handles=[reward])

    def run(self, row: dict[str, Any], rollouts: int) -> list[dict[str, Any]]:
        """Roll out one row of the dataset; the fields that verl sends to the trainer, per rollout.

        Raises:
            RuntimeError: a rollout failed; verl has logged why.
        """
        self.prompts, self.videos, self.rows = [], [], []
        prompt = {**row, "uid": "prompt", "__rollout_n__": rollouts, "global_steps": 0}
        trajectory = {"step": 0, "sample_index": 0, "rollout_n": 0, "validate": False}
        with self._no_queue():
            asyncio.run(self.worker._run_prompt(prompt, dict(SAMPLING), trajectory))
        if len(self.rows) != rollouts:
            raise RuntimeError(f"{rollouts - len(self.rows)} of {rollouts} rollouts failed")
        return self.rows

    def time_video_work(self, row: dict[str, Any], rollouts: int) -> tuple[float, float]:
        """Seconds, on the wall and of the processor, that a group's video and prompt take.

        For each rollout what verl does in `run` and in its post-processing: frames and token ids,
        all rollouts at once, then the trainer's inputs and positions twice (for the reward and
        for the queue). The agent loops themselves, the server and the reward are left out.
        The inputs of one rollout stay in `inputs`.
        """
        return asyncio.run(self._time_video_work(row, rollouts))

    async def _time_video_work(self, row, rollouts) -> tuple[float, float]:
        answer = torch.tensor(self._answer_ids())
        loops = [self._agent_loop(row["agent_name"]) for _ in range(rollouts)]

        async def one(loop) -> None:
            messages = list(row["raw_prompt"])
            data = await loop.process_multi_modal_info(messages)
            ids = await loop.ct_build_initial_tokens(
                messages, videos=data.get("videos"), mm_inputs_out={}
            )
            tokens = torch.cat([torch.tensor(ids), answer])
            settings = loop._get_mm_processor_kwargs()
            output = SimpleNamespace(multi_modal_data=data, mm_processor_kwargs=settings)
            for _ in range(2):
                inputs = self.worker._compute_multi_modal_inputs(output, tokens)
                mask = torch.ones_like(tokens)[None]
                self.worker._compute_position_ids(tokens[None], mask, inputs)
            self.inputs = inputs

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(one, loops))
        return time.perf_counter() - wall, time.process_time() - cpu

    def _agent_loop(self, name: str):
        """An agent loop made as verl's `_run_agent_loop` makes it."""
        worker = self.worker
        return hydra.utils.instantiate(
            agent_loop._agent_loop_registry[name],
            trainer_config=agent_loop.DictConfigWrap(self.config),
            server_manager=self,
            tokenizer=worker.tokenizer,
            processor=worker.processor,
            hf_model_type=worker.hf_model_type,
            dataset_cls=worker.dataset_cls,
            data_config=agent_loop.DictConfigWrap(self.config.data),
            tools=agent_loop.ToolListWrap(worker.tools),
        )

    def _answer_ids(self) -> list[int]:
        tokenizer = self.worker.tokenizer
        return [*tokenizer.encode(self.answer), tokenizer.eos_token_id]

    async def generate(self, request_id, *, prompt_ids, video_data=None, **_) -> TokenOutput:
        """In the place of verl's client of the rollout servers."""
        self.prompts.append(list(prompt_ids))
        self.videos.append(video_data)
        ids = self._answer_ids()
        steps = {"global_steps": 0, "min_global_steps": 0, "max_global_steps": 0}
        return TokenOutput(token_ids=ids, log_probs=[0.0] * len(ids), extra_fields=steps)

    async def _score(self, data) -> dict[str, Any]:
        return {"reward_score": 0.0, "reward_extra_info": {}}

    @contextmanager
    def _no_queue(self) -> Iterator[None]:
        async def nothing(**_) -> None: ...

        async def keep(*, fields, **_) -> None:
            # iterating a TensorDict would give its rows
            names = list(fields.keys()) if self._keep else []
            self.rows += [{name: fields[name][row] for name in names} for row in range(len(fields))]

        queue, agent_loop_tq.tq = (
            agent_loop_tq.tq,
            SimpleNamespace(init=lambda: None, async_kv_put=nothing, async_kv_batch_put=keep),
        )
        try:
            yield
        finally:
            agent_loop_tq.tq = queue
