"""`trainer.v1.trainer_mode=temporal_sync`: verl's synchronous trainer, which also logs the reward's
parts and what the groups look like (upstream logs the total only)."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import transfer_queue
from omegaconf import open_dict
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from temporal_plugin import prompts
from temporal_plugin.integrations.verl_dataset import temporal_settings
from temporal_plugin.integrations.verl_plugin import TRAINER_MODE
from temporal_plugin.rewards import APPLIES

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.2  # upstream looks for finished rollouts every 2 s, a quarter of a small step


@register_trainer(TRAINER_MODE)
class TemporalTrainer(PPOTrainerSync):
    """Adds `reward/<part>/mean|std` and `group/...` to the training log of every step."""

    def __init__(self, config):
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"  # upstream branches on this very word
        super().__init__(config)
        # beside the checkpoints, so that an evaluation can tell whether it asks in other words
        prompt = prompts.load(temporal_settings(config.data)["prompt"])
        path = prompts.write_record(config.trainer.default_local_dir, prompt)
        logger.info("prompt %s (%s), recorded in %s", prompt.name, prompt.fingerprint, path)

    def _build_replay_buffer(self):
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = POLL_SECONDS
        return buffer

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        rows = transfer_queue.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"]
        )
        parts = [(row or {}).get("reward_extra_info", {}) for row in list(rows["extra_fields"])]
        # a key is "<uid of the prompt>_<rollout>_<turn>"
        groups = [key.rsplit("_", 2)[0] for key in batch.keys]
        metrics.update(reward_metrics(parts, groups))


def reward_metrics(parts: Sequence[Mapping[str, float]], groups: Sequence[str]) -> dict[str, float]:
    """Statistics of the reward's parts over a step.

    Args:
        parts: per rollout, every part of its reward by name, `score` among them.
        groups: per rollout, the prompt it answers.

    Returns:
        `reward/<part>/mean`, `reward/<part>/std`, over the rows to which the part applies (see
        `rewards.score`; a part that applies to none is left out); `group/zero_variance_share`: the
        share of groups whose rollouts all score the same and so teach nothing;
        `group/score_std_mean`.
    """
    metrics: dict[str, float] = {}
    for name in sorted({name for row in parts for name in row}):
        if name.endswith(APPLIES):
            continue  # says in which rows another part counts
        values = [
            row[name]
            for row in parts
            if isinstance(row.get(name), (int, float)) and row.get(name + APPLIES, 1.0)
        ]
        if values:
            metrics[f"reward/{name}/mean"] = float(np.mean(values))
            metrics[f"reward/{name}/std"] = float(np.std(values))
    scores: dict[str, list[float]] = {}
    for group, row in zip(groups, parts, strict=True):
        scores.setdefault(group, []).append(row.get("score", 0.0))
    if scores:
        spreads = [float(np.std(values)) for values in scores.values()]
        metrics["group/zero_variance_share"] = float(np.mean([s < 1e-9 for s in spreads]))
        metrics["group/score_std_mean"] = float(np.mean(spreads))
    return metrics
