"""The commands `temporal-plugin curate ...`: how hard each sample is, and which to train on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin.command_errors import errors

if TYPE_CHECKING:
    from temporal_plugin.annotations import Sample
    from temporal_plugin.curation.difficulty import Difficulty, Measured
    from temporal_plugin.curation.selection import Selection

app = typer.Typer(
    help="Measure how hard training samples are, and select some.", no_args_is_help=True
)

BINS = 10
BAR = 30  # characters of the longest bar
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
MaxListed = Annotated[int, typer.Option(min=0, help="Name at most so many ids of a kind.")]

DIFFICULTY_EXAMPLE = """Example: temporal-plugin curate difficulty results --out difficulty.jsonl,
after

\b
  TEMPORAL_PLUGIN_CURATE_DATA=charades.yaml lmms-eval --model temporal_qwen_vl
    --model_args pretrained=MODEL --tasks curate_difficulty --repeats 8
    --output_path results --log_samples
"""
SELECT_EXAMPLE = """Example: temporal-plugin curate select charades.yaml --difficulty
difficulty.jsonl --method gaussian --count 2500 --out selected.jsonl; then train with
data.train_files=selected.jsonl"""


@app.command("difficulty", epilog=DIFFICULTY_EXAMPLE)
def measure(
    results: Annotated[
        list[Path],
        typer.Argument(help="Folders or sample logs of lmms-eval, of all shards of one run."),
    ],
    out: Annotated[Path, typer.Option(help="The JSONL to write, a line per sample.")],
    data: Annotated[
        Path | None,
        typer.Option(help="The samples that were asked: adds their sources, names missing ones."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Which task's logs; needed where there are several.")
    ] = None,
    as_json: AsJson = False,
    max_listed: MaxListed = 5,
) -> None:
    """Turn the answers of an lmms-eval run into the difficulty of each sample.

    Difficulty is 1 - mean IoU of a sample's answers. Shards merge exactly: an id that comes twice
    with equal answers counts once, with different ones it is an error. Videos that failed have no
    difficulty and are named.
    """
    with errors(as_json):
        from temporal_plugin.annotations import load_samples
        from temporal_plugin.curation import difficulty
        from temporal_plugin.integrations.lmms_eval_curation import log_files, read_logs

        files = log_files(results, task)
        found = difficulty.from_log(read_logs(files))
        if not found.rows:
            raise ValueError(f"no sample was measured: {len(found.failed)} videos failed")
        samples = None if data is None else load_samples(data)
        report = _measured(found, samples, max_listed)
        difficulty.write(out, found.rows)
    _show({"ok": True, "logs": len(files), **report, "out": str(out)}, as_json)


@app.command("select", epilog=SELECT_EXAMPLE)
def select(
    data: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    difficulty: Annotated[Path, typer.Option(help="What `curate difficulty` wrote.")],
    method: Annotated[str, typer.Option(help="gaussian, range, random, variance or stratified.")],
    out: Annotated[
        Path, typer.Option(help="The Sample JSONL to write; data.train_files takes it.")
    ],
    count: Annotated[int | None, typer.Option(help="At most so many samples.")] = None,
    share: Annotated[float | None, typer.Option(help="stratified: share of all samples.")] = None,
    mean: Annotated[float | None, typer.Option(help="gaussian: best mean IoU [0.3].")] = None,
    width: Annotated[float | None, typer.Option(help="gaussian: deviation from it [0.2].")] = None,
    low: Annotated[
        float | None, typer.Option(help="range, variance: mean IoU above (range) or from this.")
    ] = None,
    high: Annotated[
        float | None, typer.Option(help="range [0.7], variance [1]: mean IoU up to this.")
    ] = None,
    min_spread: Annotated[
        float | None, typer.Option(help="variance: standard deviation of the IoU above this [0].")
    ] = None,
    easy_below: Annotated[
        float | None, typer.Option(help="stratified: difficulty below which is easy [0.3].")
    ] = None,
    hard_above: Annotated[
        float | None, typer.Option(help="stratified: difficulty above which is hard [0.7].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="gaussian, random, stratified: decides the draw [0].")
    ] = None,
    as_json: AsJson = False,
    max_listed: MaxListed = 5,
) -> None:
    """Choose samples by their measured difficulty.

    The same seed chooses the same samples, whatever the order of the rows. `range` writes from
    easy to hard, `variance` from large to small spread, the others in drawn order. Each chosen
    sample gets `extra.difficulty` and `extra.spread`. What was dropped is counted by rule; samples
    without a difficulty, and difficulties without a sample, are counted and named.
    """
    given = {
        "count": count, "share": share, "mean": mean, "width": width, "low": low, "high": high,
        "min_spread": min_spread, "easy_below": easy_below, "hard_above": hard_above, "seed": seed,
    }  # fmt: skip
    with errors(as_json):
        from temporal_plugin.annotations import load_samples, sample_jsonl
        from temporal_plugin.curation import selection
        from temporal_plugin.curation.difficulty import read

        samples = {sample.id: sample for sample in load_samples(data)}
        known = {
            id: replace(row, source=samples[id].source) if id in samples else row
            for id, row in read(difficulty).items()
        }
        settings = {name: value for name, value in given.items() if value is not None}
        found = selection.select(samples, known, method, **settings)
        if not found.ids:
            raise ValueError(f"no sample is left; dropped: {_counts(found)}")
        chosen = [_with_difficulty(samples[id], known[id]) for id in found.ids]
        sample_jsonl.write(out, chosen)
        report = _selected(found, known, max_listed)
    _show({"ok": True, "samples": len(samples), **report, "out": str(out)}, as_json)


def _with_difficulty(sample: Sample, row: Difficulty) -> Sample:
    extra = {**sample.extra, "difficulty": row.difficulty, "spread": row.spread}
    return replace(sample, extra=extra)


def _measured(found: Measured, samples: Sequence[Sample] | None, max_listed: int) -> dict[str, Any]:
    """What to say about a measurement; fills in the sources of its rows."""
    report: dict[str, Any] = {"measured": len(found.rows), "copies": found.copies}
    report["answers_per_sample"] = dict(
        sorted(Counter(len(row.ious) for row in found.rows).items())
    )
    report["failed_videos"] = _named(found.failed, max_listed)
    if samples is not None:
        sources = {sample.id: sample.source for sample in samples}
        found.rows = [replace(row, source=sources.get(row.id, row.source)) for row in found.rows]
        answered = {row.id for row in found.rows} | set(found.failed)
        report["not_asked"] = _named(sorted(set(sources) - answered), max_listed)
        report["not_in_data"] = _named(sorted(answered - set(sources)), max_listed)
    report["levels"] = dict(Counter(row.level() for row in found.rows))
    report["difficulty"] = _histogram([row.difficulty for row in found.rows])
    return report


def _selected(found: Selection, known: dict[str, Difficulty], max_listed: int) -> dict[str, Any]:
    return {
        "selected": len(found.ids),
        "dropped": _counts(found),
        "without_difficulty": _named(found.missing, max_listed),
        "not_in_data": _named(found.extra, max_listed),
        "difficulty": _histogram([known[id].difficulty for id in found.ids]),
    }


def _counts(found: Selection) -> dict[str, int]:
    return {rule: len(ids) for rule, ids in found.dropped.items()}


def _named(ids: Sequence[str], most: int) -> dict[str, Any]:
    return {"count": len(ids), "ids": list(ids[:most])}


def _histogram(values: Sequence[float]) -> list[int]:
    """Counts in ten equal bins from 0 to 1."""
    import numpy as np

    counts, _ = np.histogram(values, bins=BINS, range=(0.0, 1.0))
    return counts.tolist()


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    for name, value in report.items():
        if name in ("ok", "difficulty"):
            continue
        title = name.replace("_", " ")
        if isinstance(value, dict) and "ids" in value:
            more = ", ..." if value["count"] > len(value["ids"]) else ""
            names = f" ({', '.join(value['ids'])}{more})" if value["ids"] else ""
            typer.echo(f"{title}: {value['count']}{names}")
        elif isinstance(value, dict):
            inside = ", ".join(f"{key}: {count}" for key, count in value.items())
            typer.echo(f"{title}: {inside or 'none'}")
        else:
            typer.echo(f"{title}: {value}")
    typer.echo("difficulty (1 - mean IoU):")
    for line in _bars(report["difficulty"]):
        typer.echo(line)


def _bars(counts: Sequence[int]) -> Iterator[str]:
    most = max(*counts, 1)
    for number, count in enumerate(counts):
        bar = "#" * -(-count * BAR // most)
        yield f"  {number / BINS:.1f} to {(number + 1) / BINS:.1f} {count:8d} {bar}"
