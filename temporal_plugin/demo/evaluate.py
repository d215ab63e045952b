"""The demo's evaluation: upstream `lmms-eval` with the task `temporal_grounding_demo`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from temporal_plugin.demo import processes
from temporal_plugin.demo.settings import DemoSettings
from temporal_plugin.demo.train import OFFLINE

TASK = "temporal_grounding_demo"
BATCH_SIZE = 32


def before_dir(settings: DemoSettings) -> Path:
    """Folder of the results after the cold start."""
    return settings.out / "evaluate_before"


def after_dir(settings: DemoSettings) -> Path:
    """Folder of the results after GRPO."""
    return settings.out / "evaluate_after"


def command(settings: DemoSettings, model_dir: Path, out: Path) -> list[str]:
    """The command line of one evaluation run."""
    model = {"pretrained": model_dir, "dtype": "float32", **settings.sampling()}
    arguments = ",".join(f"{name}={value}" for name, value in model.items())
    return [
        *(sys.executable, "-m", "lmms_eval", "--model", "temporal_qwen_vl"),
        *("--model_args", arguments, "--tasks", TASK),
        *("--batch_size", str(BATCH_SIZE), "--device", "cpu"),
        *("--output_path", str(out), "--log_samples"),
    ]


def run(settings: DemoSettings, model_dir: Path, out: Path, log: Path) -> str:
    """Evaluates a checkpoint on the test clips; returns a summary in words.

    Raises:
        ChildFailed: lmms-eval ended with an error.
        FileNotFoundError: lmms-eval left no results (its exit status is 0 even after an error).
    """
    from rich.console import Console

    from temporal_plugin.integrations.lmms_eval_results import read_results

    shutil.rmtree(out, ignore_errors=True)
    environment = {
        **OFFLINE,
        "TEMPORAL_PLUGIN_DATA": str(settings.out),
        "OMP_NUM_THREADS": str(settings.threads),
    }
    with Console().status(f"lmms-eval on the test clips; output in {log}") as status:

        def show() -> None:
            last = processes.tail(log, 1)[-60:]
            status.update(f"lmms-eval on the test clips: {last}")

        processes.run(
            command(settings, model_dir, out), log=log, environment=environment, watch=show
        )
    found = read_results(out, task=TASK)
    return f"mIoU {found['miou']:.3f} on {found['questions']} questions of unseen clips"
