"""Loaded into every process of a verl run: writes down what each pass shows the model.

`VERL_USE_EXTERNAL_MODULES=shown_frames` with this folder on PYTHONPATH; `SHOWN_FRAMES` names the
folder of the records, one JSONL per process. A video is told by a digest per step of its patches.
- `rollout`: what the rollout's server was asked, with the prompt's tokens.
- `queue`: the rows of which the trainer has the log-probabilities computed, by step and sample.
- `tower`: what went into the vision tower of a training worker.
"""

import functools
import hashlib
import json
import os
from pathlib import Path

from temporal_plugin.integrations.import_hooks import when_imported

FOLDER = Path(os.environ["SHOWN_FRAMES"])
MODELS = "transformers.models"
TOWERS = {
    f"{MODELS}.qwen2_5_vl.modeling_qwen2_5_vl": "Qwen2_5_VisionTransformerPretrainedModel",
    f"{MODELS}.qwen3_vl.modeling_qwen3_vl": "Qwen3VLVisionModel",
}


def digests(patches, grids) -> list[list[str]]:
    """A digest per step of each video: float32 patches [all, values], grids [videos, 3]."""
    found, start = [], 0
    for t, h, w in grids.reshape(-1, 3).tolist():
        steps = patches[start : start + t * h * w].detach().cpu().float().split(h * w)
        found.append([hashlib.blake2b(step.numpy().tobytes(), digest_size=8).hexdigest()
                      for step in steps])  # fmt: skip
        start += t * h * w
    return found


def write(kind: str, **row) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{kind}-{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def read(folder: Path, kind: str) -> list[dict]:
    """The whole lines of all processes, in the order of each."""
    files = sorted(folder.glob(f"{kind}-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for file in files for line in file.read_text().split("\n")[:-1]]


def _in_a_rollout() -> bool:
    import ray

    return (ray.get_runtime_context().get_actor_name() or "").startswith("transformers_rollout")


def _watch_rollout(module) -> None:
    generate = module.BatchGenerator.generate

    @functools.wraps(generate)
    def recorded(self, requests):
        for request in requests:
            row = self._row(request)
            (video,) = digests(row["pixel_values_videos"], row["video_grid_thw"])
            greedy = not request.sampling.get("temperature")
            write("rollout", video=video, prompt=list(request.prompt_ids), greedy=greedy)
        return generate(self, requests)

    module.BatchGenerator.generate = recorded


def _watch_trainer(module) -> None:
    compute = module.TemporalTrainer._compute_old_log_prob

    @functools.wraps(compute)
    def recorded(self, batch, metrics):
        own = [key for key, tag in zip(batch.keys, batch.tags, strict=True)
               if not tag.get("is_padding", False)]  # fmt: skip
        fields = ["prompts", "input_ids", "multi_modal_inputs", "extra_info"]
        rows = module.transfer_queue.kv_batch_get(
            keys=own, partition_id=batch.partition_id, select_fields=fields
        )
        for place, key in enumerate(own):
            inputs = rows["multi_modal_inputs"][place]
            (video,) = digests(inputs["pixel_values_videos"], inputs["video_grid_thw"])
            prompt = rows["input_ids"][place][: len(rows["prompts"][place])].tolist()
            write("queue", step=self.global_steps, key=key, id=rows["extra_info"][place]["id"],
                  video=video, prompt=prompt)  # fmt: skip
        return compute(self, batch, metrics)

    module.TemporalTrainer._compute_old_log_prob = recorded


def _watch_tower(module) -> None:
    tower = getattr(module, TOWERS[module.__name__])
    forward = tower.forward

    @functools.wraps(forward)
    def recorded(self, hidden_states, grid_thw=None, **kwargs):
        if not _in_a_rollout():
            for video in digests(hidden_states, grid_thw):
                write("tower", video=video)
        return forward(self, hidden_states, grid_thw=grid_thw, **kwargs)

    tower.forward = recorded


if os.environ.get("VERL_USE_EXTERNAL_MODULES") == __name__:
    when_imported("temporal_plugin.integrations.transformers_generate", _watch_rollout)
    when_imported("temporal_plugin.integrations.verl_trainer", _watch_trainer)
    for name in TOWERS:
        when_imported(name, _watch_tower)
