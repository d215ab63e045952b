"""The command `temporal-plugin demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from temporal_plugin.demo.settings import DemoSettings, GrpoSettings

EXAMPLE = "Example: temporal-plugin demo --model qwen3_vl --seed 1 --out demo_output/qwen3_vl_seed1"


def demo(
    model: Annotated[
        str, typer.Option(help="Model family: qwen2_5_vl or qwen3_vl.")
    ] = "qwen2_5_vl",
    rollout: Annotated[
        str, typer.Option(help="What samples the answers in training: transformers or vllm.")
    ] = "transformers",
    seed: Annotated[int, typer.Option(min=0, help="Decides clips, weights and order.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of everything that is written.")] = Path(
        "demo_output"
    ),
    step: Annotated[
        list[str] | None,
        typer.Option(
            help="Run this step only (may be given several times): clips, model, cold_start, "
            "evaluate_before, train, evaluate_after, report."
        ),
    ] = None,
    grpo_steps: Annotated[int, typer.Option(min=1, help="GRPO steps.")] = GrpoSettings().steps,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each process.")] = 2,
) -> None:
    """Train a tiny Qwen-VL by GRPO on synthetic clips and evaluate it, on a CPU.

    Writes clips, builds a tiny model, cold-starts it, trains it with upstream verl, evaluates it
    before and after with upstream lmms-eval, and ends with a table and a picture. Steps that are
    done already are skipped.
    """
    from temporal_plugin.demo import run

    try:
        settings = DemoSettings(
            out=out,
            seed=seed,
            family=model,
            rollout=rollout,
            threads=threads,
            grpo=GrpoSettings(steps=grpo_steps),
        )
        run.run(settings, step or ())
    except (ValueError, run.StepFailed) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command goes on where it stopped", err=True)
        raise typer.Exit(130) from None
