"""The search demo's GRPO-CSV run: upstream verl with the recipe `tiny_search`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from temporal_plugin import prompts
from temporal_plugin.demo import processes, search_model, train
from temporal_plugin.demo.search_settings import SearchDemoSettings

RECIPE = "tiny_search"
#: means over a step's rollouts that tell what is learned, by verl's name
CURVES = {
    "reward": "reward/score/mean",
    "format": "reward/format/mean",
    "accuracy": "reward/accuracy/mean",
    "completeness": "reward/completeness/mean",
    "searches": "reward/searches/mean",
}


def command(settings: SearchDemoSettings) -> list[str]:
    """The command line of the training run; the files come from TEMPORAL_PLUGIN_TINY."""
    grpo = settings.grpo
    return [
        *(sys.executable, "-m", "verl.trainer.main_ppo", "--config-name", RECIPE),
        f"data.train_batch_size={grpo.prompts_per_step}",
        f"data.seed={settings.seed}",
        f"actor_rollout_ref.actor.optim.lr={grpo.learning_rate}",
        f"actor_rollout_ref.actor.data_loader_seed={settings.seed}",
        f"actor_rollout_ref.rollout.n={grpo.rollouts_per_prompt}",
        f"trainer.default_local_dir={settings.train_dir / 'checkpoints'}",
        f"trainer.total_training_steps={grpo.steps}",
        f"trainer.save_freq={grpo.steps}",
        f"trainer.experiment_name=search_demo_seed{settings.seed}",
        # hydra would otherwise write its own folder into the working directory
        f"hydra.run.dir={settings.train_dir / 'hydra'}",
        *grpo.overrides,
    ]


def run(settings: SearchDemoSettings, log: Path) -> Path:
    """Trains from the cold start anew; the folder of the last checkpoint.

    Raises:
        ChildFailed: verl ended with an error.
        NoCheckpoint: verl ended well but left no checkpoint.
    """
    shutil.rmtree(settings.train_dir, ignore_errors=True)
    settings.train_dir.mkdir(parents=True)
    prompts.write_record(
        settings.train_dir / "checkpoints", prompts.load(search_model.SEARCH_PROMPT)
    )
    environment = {
        **train.OFFLINE,
        "VERL_PLATFORM": "cpu",
        "VERL_FILE_LOGGER_PATH": str(settings.train_dir / "metrics_1.jsonl"),
        "TEMPORAL_PLUGIN_TINY": str(settings.out),
        "OMP_NUM_THREADS": str(settings.threads),
        "RAY_USAGE_STATS_ENABLED": "0",
        "HYDRA_FULL_ERROR": "1",
    }
    processes.run(command(settings), log=log, environment=environment)
    return checkpoint(settings)


def checkpoint(settings: SearchDemoSettings) -> Path:
    """The model of the last step.

    Raises:
        NoCheckpoint: there is none.
    """
    step = f"global_step_{settings.grpo.steps}"
    path = settings.train_dir / "checkpoints" / step / "actor/huggingface"
    if not (path / "config.json").exists():
        raise train.NoCheckpoint(f"no model in {path}")
    return path


def curves(settings: SearchDemoSettings) -> dict[str, list[float]]:
    """Each of `CURVES`, and the seconds a step took, step by step."""
    rows = [row for _, row in train.training_rows(settings)]
    found = {name: [round(row[key], 4) for row in rows] for name, key in CURVES.items()}
    return found | {"seconds": [round(row["timing_s/step"], 1) for row in rows]}
