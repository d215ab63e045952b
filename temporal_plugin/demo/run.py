"""The demo's chain of steps: clips, model, cold start, evaluation, GRPO, evaluation, report."""

from __future__ import annotations

import dataclasses
import json
import logging
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from temporal_plugin.demo import clips, cold_start, evaluate, tiny_model, train
from temporal_plugin.demo.settings import DemoSettings

logger = logging.getLogger(__name__)


class StepFailed(RuntimeError):
    """A step of the demo failed; the message names it, its log and how to run it alone."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of the chain.

    Attributes:
        name: as in `temporal-plugin demo --step NAME`.
        title: what it does, for people.
        work: does it; gets the settings and the path of its log, returns a summary in words.
        needs: fields of `DemoSettings` that decide its result, beside those of earlier steps.
    """

    name: str
    title: str
    work: Callable[[DemoSettings, Path], str]
    needs: tuple[str, ...] = ()


def _clips(settings: DemoSettings, log: Path) -> str:
    paths = clips.write(settings.clips_dir, settings.clips, settings.seed)
    counts = [f"{getattr(settings.clips, name)} {name}" for name in paths]
    return f"{', '.join(counts)} clips"


def _model(settings: DemoSettings, log: Path) -> str:
    parameters = tiny_model.build_for_demo(settings)
    return f"{settings.family} with {parameters / 1e6:.2f} M parameters, random weights"


def _cold_start(settings: DemoSettings, log: Path) -> str:
    result = cold_start.run(settings, settings.model_dir, settings.cold_start_dir)
    return (
        f"{result['batches']} batches in {result['seconds']:.0f} s, "
        f"mIoU {result['validation_miou']:.2f} on the validation clips"
    )


def _evaluate_before(settings: DemoSettings, log: Path) -> str:
    return evaluate.run(settings, settings.cold_start_dir, evaluate.before_dir(settings), log)


def _evaluate_after(settings: DemoSettings, log: Path) -> str:
    _, checkpoint = train.best_checkpoint(settings)
    return evaluate.run(settings, checkpoint, evaluate.after_dir(settings), log)


def _report(settings: DemoSettings, log: Path) -> str:
    from temporal_plugin.report import demo_report

    return demo_report.write(settings)


STEPS = (
    Step("clips", "write clips and questions", _clips, ("seed", "clips")),
    Step("model", "build a tiny model", _model, ("family", "prompt")),
    Step("cold_start", "cold start by supervised fine-tuning", _cold_start, ("cold_start",)),
    Step("evaluate_before", "evaluate with lmms-eval", _evaluate_before),
    Step("train", "train by GRPO with verl", train.run, ("rollout", "grpo")),
    Step("evaluate_after", "evaluate again with lmms-eval", _evaluate_after),
    Step("report", "table and picture", _report),
)
STEP_NAMES = tuple(step.name for step in STEPS)


def run(settings: DemoSettings, only: Sequence[str] = ()) -> None:
    """Runs the whole chain, or only the named steps, with progress on the terminal.

    A step whose settings, and those of every step before it, are unchanged since it was done is
    skipped; a step that is named in `only` is always done.

    Raises:
        ValueError: `only` names no step of the demo.
        StepFailed: a step failed.
    """
    from rich.console import Console

    unknown = [name for name in only if name not in STEP_NAMES]
    if unknown:
        raise ValueError(f"unknown step {', '.join(unknown)}; use {', '.join(STEP_NAMES)}")
    console = Console(highlight=False)
    began = time.monotonic()
    old_handler = signal.signal(signal.SIGTERM, _interrupt)
    fresh = False  # once a step was done anew, all after it are
    try:
        for number, step in enumerate(STEPS, 1):
            if only and step.name not in only:
                continue
            head = f"[{number}/{len(STEPS)}] {step.title}"
            done = None if only or fresh else _summary_if_done(settings, step)
            if done is not None:
                console.print(f"{head}: done before ({done})")
                continue
            fresh = True
            console.print(head, style="bold")
            start = time.monotonic()
            summary = _do(settings, step)
            console.print(f"    {summary}  [{time.monotonic() - start:.0f} s]", markup=False)
    finally:
        signal.signal(signal.SIGTERM, old_handler)
    console.print(f"{time.monotonic() - began:.0f} s in total; everything is in {settings.out}")
    if not only or "report" in only:
        for path in sorted(settings.report_dir.iterdir()):
            console.print(f"    {path}", soft_wrap=True)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does: child processes first."""
    raise KeyboardInterrupt


def _do(settings: DemoSettings, step: Step) -> str:
    log = settings.out / "logs" / f"{step.name}.log"
    stamp = _stamp_path(settings, step)
    stamp.unlink(missing_ok=True)
    try:
        summary = step.work(settings, log)
    except (RuntimeError, OSError, ValueError) as error:
        where = f"\nIts output: {log}" if log.exists() else ""
        raise StepFailed(
            f"step {step.name} failed: {error}{where}\n"
            f"Run it alone with: {shlex.join(alone(settings, step.name))}"
        ) from error
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"made_with": _made_with(settings, step), "summary": summary}))
    return summary


def alone(settings: DemoSettings, name: str) -> list[str]:
    """The command that runs one step by itself."""
    return [
        *("temporal-plugin", "demo", "--step", name, "--out", str(settings.out)),
        *("--model", settings.family, "--rollout", settings.rollout),
        *("--seed", str(settings.seed)),
    ]


def _stamp_path(settings: DemoSettings, step: Step) -> Path:
    return settings.out / "logs" / f"{step.name}.done.json"


def _made_with(settings: DemoSettings, step: Step) -> dict:
    """The settings that decide the result of a step: its own and those of all before it."""
    before = STEPS[: STEPS.index(step) + 1]
    names = [name for earlier in before for name in earlier.needs]
    values = dataclasses.asdict(settings)
    # through JSON, so that tuples compare equal to the lists that are read back
    return json.loads(json.dumps({"clips_version": clips.VERSION} | {n: values[n] for n in names}))


def _summary_if_done(settings: DemoSettings, step: Step) -> str | None:
    path = _stamp_path(settings, step)
    if not path.exists():
        return None
    stamp = json.loads(path.read_text("utf-8"))
    return stamp["summary"] if stamp["made_with"] == _made_with(settings, step) else None
