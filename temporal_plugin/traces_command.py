"""The command `temporal-plugin data traces`: right searches of an evaluation, for SFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from temporal_plugin.command_errors import errors

EXAMPLE = """Example: temporal-plugin data traces tries --data kept.jsonl --out traces.jsonl; then
train with verl's SFT trainer, data.train_files=traces.jsonl and
data.custom_cls.path=pkg://temporal_plugin.integrations.verl_sft_traces"""
TASK = "curate_search"


def traces(
    results: Annotated[
        list[Path], typer.Argument(help="Folders or sample logs of lmms-eval's search tasks.")
    ],
    data: Annotated[Path, typer.Option(help="The samples that were asked (.yaml or .jsonl).")],
    out: Annotated[Path, typer.Option(help="The JSONL of traces to write; it holds no pixels.")],
    task: Annotated[str, typer.Option(help="Whose logs of a folder are read.")] = TASK,
    solved_above: Annotated[float, typer.Option(help="Keep searches that score above this.")] = 0.5,
    min_searches: Annotated[int, typer.Option(help="Keep those that looked so often.")] = 1,
    per_sample: Annotated[int, typer.Option(help="At most so many of a sample, shortest.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Write the right and clean searches of an lmms-eval run as traces for SFT.

    A trace is a sample with the model's turns and the times of the frames that it was shown; the
    tool is run again when the trace is trained on. What was dropped is counted by rule.
    """
    with errors(as_json):
        from temporal_plugin.annotations import load_samples, sample_jsonl
        from temporal_plugin.integrations.lmms_eval_curation import log_files, read_logs
        from temporal_plugin.search.trace_choice import choose

        files = log_files(results, task)
        found = choose(
            read_logs(files),
            load_samples(data),
            solved_above=solved_above,
            min_searches=min_searches,
            per_sample=per_sample,
        )
        if not found.traces:
            raise ValueError(f"no search is left; dropped: {found.dropped}")
        sample_jsonl.write(out, found.traces)
    report = {
        "ok": True,
        "logs": len(files),
        "traces": len(found.traces),
        "dropped": found.dropped,
        "not_asked": len(found.not_asked),
        "not_in_data": len(found.not_in_data),
        "out": str(out),
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    typer.echo(f"{report['traces']} traces of {report['logs']} logs, written to {out}")
    for rule, count in found.dropped.items():
        typer.echo(f"{rule.replace('_', ' ')}: {count}")
    for name in ("not_asked", "not_in_data"):
        typer.echo(f"{name.replace('_', ' ')}: {report[name]}")
