"""`rollout.name=transformers`: verl's rollout on plain transformers, where there is no vLLM.

One Ray actor holds the model. Requests that wait are generated as one batch, which is what makes
a CPU run bearable: 128 answers in one batch take about as long as five single ones.
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field

import ray
import torch
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

logger = logging.getLogger(__name__)
ACTOR_NAME = "transformers_rollout"


@dataclass
class Request:
    """One prompt that waits for its answer."""

    prompt_ids: list[int]
    sampling: dict
    video_data: list | None
    image_data: list | None
    seed: int | None
    done: asyncio.Future = field(repr=False)


class TransformersServer:
    """The model, a queue of requests and the loop that answers them in batches."""

    def __init__(self, config, model_config):
        from verl.utils.config import omega_conf_to_dataclass

        from temporal_plugin.integrations.transformers_generate import BatchGenerator

        model_config = omega_conf_to_dataclass(model_config)
        self.config, self.global_steps = config, None
        self.generator = BatchGenerator(
            model_config.local_path,
            model_config.hf_config,
            model_config.processor or model_config.tokenizer,
            dtype=config.dtype,
        )
        self.max_batch = config.max_num_seqs
        self.waiting: list[Request] = []
        self.worker: asyncio.Task | None = None

    def address(self) -> str:
        return f"transformers-{os.getpid()}"

    async def generate(
        self,
        prompt_ids,
        sampling_params,
        request_id,
        image_data=None,
        video_data=None,
        **_,
    ) -> TokenOutput:
        """Answer one prompt; verl calls this for every rollout."""
        sampling = dict(sampling_params)
        seed = sampling.pop("seed", None)
        sampling.setdefault(
            "max_tokens", sampling.pop("max_new_tokens", None) or self.config.response_length
        )
        done = asyncio.get_running_loop().create_future()
        request = Request(list(prompt_ids), sampling, video_data, image_data, seed, done)
        self.waiting.append(request)
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self._answer_waiting())
        token_ids, log_probs = await done
        return TokenOutput(
            token_ids=token_ids,
            log_probs=log_probs if sampling.get("logprobs") else None,
            stop_reason="completed",
            extra_fields={"global_steps": self.global_steps},
        )

    async def _answer_waiting(self) -> None:
        while self.waiting:
            await self._arrivals_settle()
            batch = self._take_batch()
            try:
                loop = asyncio.get_running_loop()
                answers = await loop.run_in_executor(None, self.generator.generate, batch)
            except Exception as error:  # handed to every caller of the batch, who raise it
                for request in batch:
                    request.done.set_exception(error)
                continue
            for request, answer in zip(batch, answers, strict=True):
                request.done.set_result(answer)

    async def _arrivals_settle(self, quiet_seconds: float = 0.15) -> None:
        """Wait while requests keep coming: a prompt's processing takes far longer than this."""
        seen = -1
        while seen != len(self.waiting) and len(self.waiting) < self.max_batch:
            seen = len(self.waiting)
            await asyncio.sleep(quiet_seconds)

    def _take_batch(self) -> list[Request]:
        """The waiting requests that share the first one's sampling settings, in order."""
        sampling, unseeded = self.waiting[0].sampling, self.waiting[0].seed is None
        batch = [
            request
            for request in self.waiting
            if request.sampling == sampling and (request.seed is None) == unseeded
        ]
        batch = batch[: self.max_batch]
        taken = {id(request) for request in batch}
        self.waiting = [request for request in self.waiting if id(request) not in taken]
        return batch

    def load(self, weights: dict[str, torch.Tensor]) -> int:
        return load_weights(self.generator.model, weights)

    async def set_global_steps(self, global_steps):
        self.global_steps = global_steps

    async def abort_all_requests(self, **_):
        return {"aborted_count": 0, "request_ids": []}

    async def _nothing(self, *_args, **_kwargs):
        """The model is small and stays in memory: sleep, wake-up and caches need nothing."""

    sleep = wake_up = clear_kv_cache = release_kv_cache = resume_kv_cache = _nothing
    resume_generation = start_profile = stop_profile = _nothing


def load_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> int:
    """Copy a trainer's weights into the model; return how many tensors were copied.

    Raises:
        ValueError: a name is unknown to the model.
    """
    from verl.utils.model import convert_weight_keys

    own = model.state_dict()
    # the trainer may send a checkpoint's names, which differ from those of the model in memory
    names = {next(iter(convert_weight_keys({name: own[name]}, model))): name for name in own}
    names |= {name: name for name in own}
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise ValueError(f"the rollout model has no weights {unknown[:4]} ({len(unknown)} in all)")
    with torch.no_grad():
        for name, tensor in weights.items():
            own[names[name]].copy_(tensor)
    return len(weights)


class TransformersReplica(RolloutReplica):
    """Starts the actor; verl asks the replica registry for this class."""

    async def launch_servers(self):
        server = (
            ray.remote(TransformersServer)
            .options(name=f"{ACTOR_NAME}_{self.replica_rank}", max_concurrency=1024)
            .remote(self.config, self.model_config)
        )
        self.servers, self._server_handle = [server], server
        self._server_address = await server.address.remote()


class TransformersAdapter(BaseRollout):
    """The trainer's side: sends new weights to the actor through Ray's object store."""

    async def resume(self, tags):
        pass

    async def release(self):
        pass

    async def update_weights(self, weights, global_steps=None, wire_format="named_tensors", **_):
        from verl.workers.rollout.utils import ensure_async_iterator

        if wire_format != "named_tensors":
            raise ValueError(
                f"wire format {wire_format!r} is not known to the transformers rollout; "
                "set the checkpoint engine back to its default (named_tensors)"
            )
        state = {
            name: tensor.detach().clone() async for name, tensor in ensure_async_iterator(weights)
        }
        if int(os.environ.get("RANK", "0")) == 0:
            server = ray.get_actor(f"{ACTOR_NAME}_0")
            await server.load.remote(state)
            if global_steps is not None:
                await server.set_global_steps.remote(global_steps)
