"""The search demo's evaluation: upstream `lmms-eval`, with search and with uniform frames.

The baseline sees as many frames as a search can have seen when it must answer, evenly over the
clip, each beside its time, and is asked in the words of GRPO-CSV's second answer.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from temporal_plugin.demo import processes, search_traces, train
from temporal_plugin.demo.search_settings import SearchDemoSettings

TASK = "temporal_search_demo"
WAYS = ("search", "uniform")
BATCH_SIZE = 64


def arguments(settings: SearchDemoSettings, model_dir: Path, way: str) -> dict[str, Any]:
    """The model class's arguments for one of `WAYS`."""
    size = {f"frame_{name}": value for name, value in settings.size().items()}
    found = {"pretrained": model_dir, "dtype": "float32", **settings.sampling(), **size}
    if way == "uniform":
        frames = settings.uniform_frames
        return {**found, "search": "uniform", "uniform_frames": frames, "preview": "false"}
    return {
        **found,
        "encoder": settings.encoder_dir,
        "store": settings.store_dir,
        "turns": settings.turns,
        "frames_per_call": settings.frames_per_call,
        "tokens_per_turn": settings.tokens_per_turn,
    }


def command(settings: SearchDemoSettings, model_dir: Path, way: str, out: Path) -> list[str]:
    """The command line of one evaluation run."""
    given = arguments(settings, model_dir, way)
    return [
        *(sys.executable, "-m", "lmms_eval", "--model", "temporal_search"),
        *("--model_args", ",".join(f"{name}={value}" for name, value in given.items())),
        *("--tasks", TASK, "--batch_size", str(BATCH_SIZE), "--device", "cpu"),
        *("--output_path", str(out), "--log_samples"),
    ]


def run(
    settings: SearchDemoSettings, model_dir: Path, way: str, out: Path, log: Path
) -> dict[str, float]:
    """Evaluates a checkpoint on the test clips.

    Returns:
        `accuracy` of all `questions`, the share whose `request_failure` (a failed one is wrong),
        and of a search: `searches` and `frames` (mean counts), and
        `found`, the share of the questions whose event was among the searched frames.

    Raises:
        ChildFailed: lmms-eval ended with an error.
        FileNotFoundError: lmms-eval left no results (its exit status is 0 even after an error).
    """
    from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples

    shutil.rmtree(out, ignore_errors=True)
    environment = {
        **train.OFFLINE,
        "TEMPORAL_PLUGIN_DATA": str(settings.out),
        "OMP_NUM_THREADS": str(settings.threads),
    }
    processes.run(command(settings, model_dir, way, out), log=log, environment=environment)
    results = read_results(out, task=TASK)
    names = ("accuracy", "questions", "request_failure")
    found = {name: results[name] for name in names}
    if way == "search":
        found |= _searches(settings, read_samples(out, task=TASK))
    return found


def _searches(settings: SearchDemoSettings, rows: list[dict]) -> dict[str, float]:
    """What the searches did, from the sample log."""
    from temporal_plugin.annotations import load_samples

    samples = {each.id: each for each in load_samples(settings.clips_dir / "test.jsonl")}
    seen = [search_traces.seen(samples[row["id"]], row["predicted_seconds"]) for row in rows]
    counts = {
        name: sum(row["counters"][name] for row in rows) / len(rows)
        for name in ("searches", "frames")
    }
    return {"found": sum(seen) / len(rows), **counts}


def best_uniform(settings: SearchDemoSettings) -> dict[str, float]:
    """What a perfect reader of the same uniform frames would get on the test clips.

    Returns:
        `visible`: share of the questions whose event is on one of the frames; `accuracy`: those
        answered right and the others by chance.
    """
    from temporal_plugin.annotations import load_samples

    search = search_traces.frame_search(settings, "uniform")
    samples = load_samples(settings.clips_dir / "test.jsonl")
    frames = [
        search.seek(each.video, "all", num_frames=settings.uniform_frames) for each in samples
    ]
    seen = [
        search_traces.seen(sample, shown.pts_seconds)
        for sample, shown in zip(samples, frames, strict=True)
    ]
    visible = sum(seen) / len(seen)
    return {"visible": visible, "accuracy": visible + (1 - visible) / len(samples[0].options)}
