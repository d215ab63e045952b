"""The demo's GRPO run: upstream `verl.trainer.main_ppo` with the recipe `tiny_cpu`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from temporal_plugin import prompts
from temporal_plugin.demo import processes
from temporal_plugin.demo.settings import DemoSettings

RECIPES = {"transformers": "tiny_cpu", "vllm": "tiny_cpu_vllm"}
#: validation score of verl's log: mean IoU of greedy answers on the validation clips
VALIDATION_KEY = "val-core/demo/acc/mean@1"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class NoCheckpoint(RuntimeError):
    """Training left no checkpoint that transformers could load."""


def command(settings: DemoSettings) -> list[str]:
    """The command line of the training run (what its log starts with)."""
    grpo = settings.grpo
    sampling = [f"data.temporal.sampling.{k}={v}" for k, v in settings.sampling().items()]
    return [
        *(sys.executable, "-m", "verl.trainer.main_ppo"),
        *("--config-name", RECIPES[settings.rollout]),
        f"data.train_files={settings.clips_dir / 'train.jsonl'}",
        f"data.val_files={settings.clips_dir / 'validation.jsonl'}",
        f"data.train_batch_size={grpo.prompts_per_step}",
        f"data.seed={settings.seed}",
        f"data.temporal.prompt={settings.prompt}",
        *sampling,
        f"actor_rollout_ref.model.path={settings.cold_start_dir}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={grpo.prompts_per_step}",
        f"actor_rollout_ref.actor.optim.lr={grpo.learning_rate}",
        f"actor_rollout_ref.actor.data_loader_seed={settings.seed}",
        f"actor_rollout_ref.rollout.n={grpo.rollouts_per_prompt}",
        f"trainer.default_local_dir={settings.train_dir / 'checkpoints'}",
        f"trainer.total_training_steps={grpo.steps}",
        f"trainer.test_freq={grpo.evaluate_every}",
        f"trainer.save_freq={grpo.evaluate_every}",
        f"trainer.experiment_name=demo_{settings.family}_seed{settings.seed}",
        # hydra would otherwise write its own folder into the working directory
        f"hydra.run.dir={settings.train_dir / 'hydra'}",
        *grpo.overrides,
    ]


def run(settings: DemoSettings, log: Path) -> str:
    """Trains, with a live progress line; returns a summary in words.

    An interrupted run goes on from its last checkpoint, unless settings have changed since.

    Raises:
        ChildFailed: verl ended with an error.
        NoCheckpoint: verl ended well but left no checkpoint.
    """
    folder, stamp = settings.train_dir, settings.train_dir / "settings.json"
    if not stamp.exists() or stamp.read_text("utf-8") != settings.as_json():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        stamp.write_text(settings.as_json(), "utf-8")
    prompts.write_record(folder / "checkpoints", prompts.load(settings.prompt))
    attempt = len(list(folder.glob("metrics_*.jsonl"))) + 1
    environment = {
        **OFFLINE,
        "VERL_PLATFORM": "cpu",
        "VERL_FILE_LOGGER_PATH": str(folder / f"metrics_{attempt}.jsonl"),
        "OMP_NUM_THREADS": str(settings.threads),
        "RAY_USAGE_STATS_ENABLED": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HYDRA_FULL_ERROR": "1",
    }
    with _ProgressLine(settings) as line:
        processes.run(command(settings), log=log, environment=environment, watch=line.update)
    rewards = [(step, row["reward/score/mean"]) for step, row in training_rows(settings)]
    step, checkpoint = best_checkpoint(settings)
    return (
        f"{len(rewards)} steps, mean reward {rewards[0][1]:.2f} -> {rewards[-1][1]:.2f}; "
        f"best on the validation clips: step {step}, {checkpoint}"
    )


def metrics(settings: DemoSettings) -> dict[int, dict[str, float]]:
    """verl's metrics of every step, in order; of a step done twice the later one."""
    paths = settings.train_dir.glob("metrics_*.jsonl")
    found: dict[int, dict[str, float]] = {}
    for path in sorted(paths, key=lambda path: int(path.stem.partition("_")[2])):
        for line in path.read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):  # the last line may still be in writing
                row = json.loads(line)
                found.setdefault(row["step"], {}).update(row["data"])
    return dict(sorted(found.items()))


def training_rows(settings: DemoSettings) -> list[tuple[int, dict[str, float]]]:
    """(step, metrics) of every training step, without those that only validated."""
    return [(k, row) for k, row in metrics(settings).items() if "reward/score/mean" in row]


def validations(settings: DemoSettings) -> list[tuple[int, float]]:
    """(step, mean IoU of greedy answers on the validation clips) of every validation."""
    rows = metrics(settings).items()
    return [(step, row[VALIDATION_KEY]) for step, row in rows if VALIDATION_KEY in row]


def best_checkpoint(settings: DemoSettings) -> tuple[int, Path]:
    """(step, folder) of the saved checkpoint with the highest IoU on the validation clips.

    The test clips have no part in the choice. Among equals the latest is taken.

    Raises:
        NoCheckpoint: there is none.
    """
    rows = metrics(settings)
    folder = settings.train_dir / "checkpoints"
    saved = [
        (rows.get(step, {}).get(VALIDATION_KEY, -1.0), step, path)
        for path in folder.glob("global_step_*/actor/huggingface")
        for step in [int(path.parts[-3].removeprefix("global_step_"))]
        if (path / "config.json").exists()
    ]
    if not saved:
        raise NoCheckpoint(f"no global_step_*/actor/huggingface with a model in {folder}")
    _, step, path = max(saved)
    return step, path


class _ProgressLine:
    """A live line of the training's progress, read from the metrics that verl writes."""

    def __init__(self, settings: DemoSettings) -> None:
        from rich import progress

        self._settings = settings
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("starting verl and Ray", total=settings.grpo.steps)

    def __enter__(self) -> _ProgressLine:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self) -> None:
        """Reads what is new and redraws."""
        rows = training_rows(self._settings)
        if rows:
            step, row = rows[-1]
            text = f"reward {row['reward/score/mean']:.2f}"
            validated = validations(self._settings)
            if validated:
                text += f", validation mIoU {validated[-1][1]:.2f}"
            self._progress.update(self._task, completed=step, description=text)
