"""`trainer.v1.trainer_mode=temporal_sync`: verl's synchronous trainer, which also logs the reward's
parts and what the groups look like (upstream logs the total only), trains in the order of a
curriculum (`data.temporal.curriculum`) and masks hard samples (`data.temporal.masking`)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import transfer_queue
from omegaconf import OmegaConf, open_dict
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils
from verl.utils.dataset.rl_dataset import collate_fn

from temporal_plugin import prompts
from temporal_plugin.curation.curriculum import progress
from temporal_plugin.integrations.verl_curriculum import (
    Rollout,
    TrainingCurriculum,
    sample_rows,
    settings_of,
)
from temporal_plugin.integrations.verl_dataset import temporal_settings
from temporal_plugin.integrations.verl_masking import TrainingMasks, masking_of
from temporal_plugin.integrations.verl_plugin import TRAINER_MODE
from temporal_plugin.rewards import APPLIES

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.2  # upstream looks for finished rollouts every 2 s, a quarter of a small step


@register_trainer(TRAINER_MODE)
class TemporalTrainer(PPOTrainerSync):
    """Adds `reward/<part>/mean|std` and `group/...` to the training log of every step.

    With `data.temporal.curriculum` it takes its rows from a `TrainingCurriculum`, whose state lies
    in each checkpoint. Prompts are named by step and place instead of at random, and a batch is
    sorted by these names, so that with `rollout_seed` a run can be repeated exactly. Each row's
    `extra_info.progress` is the share of training that lies behind its step; with
    `data.temporal.masking` it decides how much of a hard sample's video the prompt shows.
    """

    def __init__(self, config):
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"  # upstream branches on this very word
        super().__init__(config)
        self.curriculum: TrainingCurriculum | None = None
        self.masks: TrainingMasks | None = None
        self._fetched = (0, 0)  # step, prompts that it has fetched
        # beside the checkpoints, so that an evaluation can tell whether it asks in other words
        prompt = prompts.load(temporal_settings(config.data)["prompt"])
        path = prompts.write_record(config.trainer.default_local_dir, prompt)
        logger.info("prompt %s (%s), recorded in %s", prompt.name, prompt.fingerprint, path)

    def _build_replay_buffer(self):
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = POLL_SECONDS
        return buffer

    def _init_dataloader(self):
        super()._init_dataloader()
        seed = self.config.data.get("seed")
        given = self._settings("curriculum")
        if given is not None:
            self.curriculum = TrainingCurriculum(
                sample_rows(self.train_dataset),
                settings_of(given, seed),
                batch_size=self.config.data.train_batch_size,
                folder=self.config.trainer.default_local_dir,
            )
        given = self._settings("masking")
        if given is not None:
            rows = sample_rows(self.train_dataset)
            self.masks = TrainingMasks(rows, masking_of(given, seed), self.train_dataset.processor)

    def _settings(self, name: str) -> dict | None:
        """A part of `data.temporal` as plain values."""
        given = temporal_settings(self.config.data)[name]
        return OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given

    def _fetch_one_gen_batch(self):
        if self.curriculum is None:
            batch = super()._fetch_one_gen_batch()
        else:
            data = self.config.data
            numbers = self.curriculum.draw(data.get("gen_batch_size") or data.train_batch_size)
            rows = collate_fn([self.train_dataset[number] for number in numbers])
            batch = tensordict_utils.get_tensordict(rows)
        infos = [dict(info) for info in batch["extra_info"]]
        share = progress(self.global_steps, self.total_training_steps)
        stack = tensordict_utils.assign_non_tensor_stack
        stack(batch, "extra_info", [{**info, "progress": share} for info in infos])
        stack(batch, "uid", self._names(len(infos)))
        if self.masks is not None:
            shown = self.masks.apply(
                list(batch["raw_prompt"]),
                [info["index"] for info in infos],
                step=self.global_steps,
                progress=share,
            )
            stack(batch, "raw_prompt", shown)
        return batch

    def _names(self, count: int) -> list[str]:
        """A name for each prompt, which sorts by step and place; verl splits it from "_" on."""
        step, fetched = self._fetched
        fetched = fetched if step == self.global_steps else 0
        self._fetched = self.global_steps, fetched + count
        return [f"{self.global_steps:07d}-{fetched + place:06d}" for place in range(count)]

    def _balance_batch(self, batch, *args, **kwargs):
        # rollouts arrive in any order, which would change the last bits of sums over the batch
        batch.reorder(sorted(range(len(batch.keys)), key=lambda index: parts_of(batch.keys[index])))
        return super()._balance_batch(batch, *args, **kwargs)

    def step(self, metrics, timing_raw):
        batch = super().step(metrics, timing_raw)
        share = progress(self.global_steps, self.total_training_steps)
        if self.curriculum is not None:  # before the checkpoint is written
            found = self.curriculum.measured(self.global_steps, self._rollouts(batch))
            metrics.update(found | {"curriculum/progress": share})
        if self.masks is not None:
            metrics.update(self.masks.metrics(share))
        return batch

    def _rollouts(self, batch) -> list[Rollout]:
        """The rewards of a batch; of a rollout in several parts the last part's."""
        own = [
            key
            for key, tag in zip(batch.keys, batch.tags, strict=True)
            if not tag.get("is_padding", False)
        ]
        rows = transfer_queue.kv_batch_get(
            keys=own, partition_id=batch.partition_id, select_fields=["extra_fields", "extra_info"]
        )
        found: dict[tuple[str, int], Rollout] = {}
        for key, fields, info in zip(
            own, list(rows["extra_fields"]), list(rows["extra_info"]), strict=True
        ):
            uid, session, _ = parts_of(key)
            parts = (fields or {}).get("reward_extra_info", {})
            found[uid, session] = Rollout(uid, info["id"], session, parts)
        return list(found.values())

    def _save_checkpoint(self):
        if self.curriculum is not None:  # first: verl's last act is to name this checkpoint
            folder = Path(self.config.trainer.default_local_dir)
            self.curriculum.save(folder / f"global_step_{self.global_steps}")
        super()._save_checkpoint()

    def _load_checkpoint(self):
        super()._load_checkpoint()
        if self.curriculum is None or self.global_steps == 0:
            return
        trainer = self.config.trainer
        folder = Path(trainer.default_local_dir) / f"global_step_{self.global_steps}"
        if trainer.resume_mode == "resume_path":
            folder = Path(trainer.resume_from_path)
        self.curriculum.load(folder)

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        rollouts = self._rollouts(batch)
        parts = [rollout.parts for rollout in rollouts]
        metrics.update(reward_metrics(parts, [rollout.uid for rollout in rollouts]))


def parts_of(key: str) -> tuple[str, int, int]:
    """(uid of the prompt, rollout, turn) of a key of verl's batch, `<uid>_<rollout>_<turn>`."""
    uid, session, turn = key.rsplit("_", 2)
    return uid, int(session), int(turn)


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
