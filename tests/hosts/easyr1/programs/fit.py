"""EasyR1's real launcher, runner, dataset, reward manager and `fit()`, with a fake worker group.

`fit.py OUT config=... a.b=c`: the launcher's arguments. Only the GPU workers are stood in for; the
worker's and the rollout's own preparation of inputs run on every batch. OUT gets what they saw.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import ray
import torch
from tensordict import TensorDict

from temporal_plugin.integrations import easyr1_launch


class FakeWorkers:
    """The methods of a worker group that `fit` calls."""

    world_size = 1

    def __init__(self, config, tokenizer, processor, out):
        from verl.workers import fsdp_workers
        from verl.workers.rollout import vllm_rollout_spmd

        self.config, self.tokenizer, self.out = config, tokenizer, out
        self.seen = {"videos": [], "actor": [], "reward_keys": None, "advantages": []}
        self.actor = SimpleNamespace(_cache={}, processor=processor)
        self.prepare = fsdp_workers.FSDPWorker._process_multi_modal_inputs
        self.rollout = vllm_rollout_spmd

    def prepare_rollout_engine(self): ...
    def release_rollout_engine(self): ...
    def load_checkpoint(self, path): ...

    def save_checkpoint(self, path, save_model_only=False):
        Path(path).mkdir(parents=True, exist_ok=True)

    def generate_sequences(self, prompts):
        from verl.protocol import DataProto
        from verl.utils import torch_functional as VF

        n = prompts.meta_info.get("n", self.config.worker.rollout.n)
        for row in prompts.non_tensor_batch["multi_modal_data"]:
            found = self.rollout._process_multi_modal_data(
                row, *(prompts.meta_info[key] for key in ("min_pixels", "max_pixels", "video_fps"))
            )
            self.seen["videos"].append(list(found["video"][0].shape))
        rows = len(prompts) * n
        random = np.random.default_rng(len(self.seen["videos"]))
        texts = [f"<answer>{a:.2f} to {a + 1:.2f}</answer>" for a in random.uniform(0, 3, rows)]
        ids = [[*self.tokenizer.encode(text), self.tokenizer.eos_token_id] for text in texts]
        responses = VF.pad_2d_list_to_length(ids, self.tokenizer.pad_token_id, max_length=64)
        batch = {name: value.repeat_interleave(n, 0) for name, value in prompts.batch.items()}
        mask = VF.get_response_mask(
            responses, self.tokenizer.eos_token_id, dtype=batch["attention_mask"].dtype
        )
        steps = torch.arange(1, 65).view(1, 1, -1).expand(rows, batch["position_ids"].size(1), -1)
        positions = batch["position_ids"]
        tensors = {
            "prompts": batch["input_ids"],
            "responses": responses,
            "input_ids": torch.cat([batch["input_ids"], responses], 1),
            "attention_mask": torch.cat([batch["attention_mask"], mask], 1),
            "response_mask": mask,
            "position_ids": torch.cat([positions, positions[..., -1:] + steps], -1),
        }
        videos = np.repeat(prompts.non_tensor_batch["multi_modal_data"], n, axis=0)
        return DataProto(
            batch=TensorDict(tensors, batch_size=rows),
            non_tensor_batch={"multi_modal_data": videos},
            meta_info=prompts.meta_info,
        )

    def _log_probs(self, data, name):
        from verl.protocol import DataProto

        self.prepare(self.actor, data)
        inputs = data.non_tensor_batch["multi_modal_inputs"]
        self.seen["actor"].append([list(row["pixel_values_videos"].shape) for row in inputs])
        return DataProto.from_dict(
            tensors={name: torch.zeros_like(data.batch["responses"]).float()}
        )

    def compute_log_probs(self, data):
        return self._log_probs(data, "old_log_probs")

    def compute_ref_log_probs(self, data):
        return self._log_probs(data, "ref_log_probs")

    def update_actor(self, data):
        from verl.protocol import DataProto

        self.seen["advantages"].append(float(data.batch["advantages"].abs().sum()))
        Path(self.out).write_text(json.dumps(self.seen))
        return DataProto(non_tensor_batch={"actor/pg_loss": np.array([0.1])})


def patched():
    """Run in one of Ray's workers: whether the hook came before EasyR1's modules."""
    from verl.utils import dataset

    return hasattr(dataset.process_video, "temporal_plugin")


def without_gpus(out):
    """Stand-ins for what `Runner.run` needs GPUs for."""
    import verl.trainer.main as host
    from verl.trainer import ray_trainer

    def init_workers(self):
        self.actor_rollout_ref_wg = FakeWorkers(self.config, self.tokenizer, self.processor, out)

    ray_trainer.RayPPOTrainer.init_workers = init_workers
    ray_trainer.ResourcePoolManager.get_num_gpus = lambda self: 1
    # in this process, so that the stand-ins are seen; Ray's workers run the reward managers
    runner = host.Runner.__ray_metadata__.modified_class()
    host.Runner = SimpleNamespace(
        remote=lambda: SimpleNamespace(run=SimpleNamespace(remote=runner.run))
    )
    host.ray = SimpleNamespace(
        is_initialized=ray.is_initialized,
        remote=ray.remote,
        get=lambda found: ray.get(found) if isinstance(found, ray.ObjectRef) else found,
    )


def main(out: str, *arguments: str) -> None:
    start = ray.init

    def init(**settings):
        start(num_cpus=4, include_dashboard=False, **settings)
        assert ray.get(ray.remote(patched).remote()), "a Ray worker without our hook"
        without_gpus(out)

    ray.init = init
    easyr1_launch.main(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
