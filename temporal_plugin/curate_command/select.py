"""`temporal-plugin curate select`: which samples to train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin.command_errors import errors
from temporal_plugin.curate_command.output import AsJson, MaxListed, histogram, named, show

if TYPE_CHECKING:
    from temporal_plugin.annotations import Sample
    from temporal_plugin.curation.boundary_rows import Reflection
    from temporal_plugin.curation.difficulty import Difficulty
    from temporal_plugin.curation.selection import Selection

EXAMPLE = """Example: temporal-plugin curate select charades.yaml --difficulty
difficulty.jsonl --method gaussian --count 2500 --out selected.jsonl; then train with
data.train_files=selected.jsonl"""


def select(
    data: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    difficulty: Annotated[Path, typer.Option(help="What `curate difficulty` wrote.")],
    method: Annotated[str, typer.Option(help="gaussian, range, random, variance or stratified.")],
    out: Annotated[
        Path, typer.Option(help="The Sample JSONL to write; data.train_files takes it.")
    ],
    boundaries: Annotated[
        Path | None,
        typer.Option(help="What `curate boundaries` wrote: its partial samples are dropped first."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for selection.png and selection.json.")
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="--report: so many partial samples are shown.")
    ] = 4,
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
    without a difficulty, and difficulties without a sample, are counted and named. With
    `--boundaries` partial samples are dropped (rule `partial`) before the method chooses.
    """
    given = {
        "count": count, "share": share, "mean": mean, "width": width, "low": low, "high": high,
        "min_spread": min_spread, "easy_below": easy_below, "hard_above": hard_above, "seed": seed,
    }  # fmt: skip
    with errors(as_json):
        from temporal_plugin.annotations import load_samples, sample_jsonl
        from temporal_plugin.curation import boundary_rows, selection
        from temporal_plugin.curation.difficulty import read

        samples = {sample.id: sample for sample in load_samples(data)}
        known = {
            id: replace(row, source=samples[id].source) if id in samples else row
            for id, row in read(difficulty).items()
        }
        settings = {name: value for name, value in given.items() if value is not None}
        reflections = {} if boundaries is None else boundary_rows.read(boundaries)
        _check_same_spans(samples, reflections)
        partial = {id for id, row in reflections.items() if row.partial}
        found = selection.select(samples, known, method, partial=partial, **settings)
        if not found.ids:
            raise ValueError(f"no sample is left; dropped: {_counts(found)}")
        chosen = [_with_difficulty(samples[id], known[id]) for id in found.ids]
        sample_jsonl.write(out, chosen)
        told = _selected(found, known, max_listed)
        if boundaries is not None:
            told["without_boundaries"] = named(sorted(set(samples) - set(reflections)), max_listed)
        if report is not None:
            from temporal_plugin.report import selection as selection_report

            told["report"] = selection_report.write(
                report, samples, known, found, reflections, examples=examples
            )
    show({"ok": True, "samples": len(samples), **told, "out": str(out)}, as_json)


def _check_same_spans(samples: dict[str, Sample], reflections: dict[str, Reflection]) -> None:
    """Refuse boundaries of another version of the annotations."""
    other = [
        id
        for id, row in reflections.items()
        if id in samples
        and row.span != tuple((s.start_seconds, s.end_seconds) for s in samples[id].spans)
    ]
    if other:
        raise ValueError(
            f"--boundaries holds {len(other)} samples whose spans are others than in the data, "
            f"such as {other[0]!r}; reflect on these very data"
        )


def _with_difficulty(sample: Sample, row: Difficulty) -> Sample:
    extra = {**sample.extra, "difficulty": row.difficulty, "spread": row.spread}
    return replace(sample, extra=extra)


def _selected(found: Selection, known: dict[str, Difficulty], max_listed: int) -> dict[str, Any]:
    return {
        "selected": len(found.ids),
        "dropped": _counts(found),
        "without_difficulty": named(found.missing, max_listed),
        "not_in_data": named(found.extra, max_listed),
        "difficulty": histogram([known[id].difficulty for id in found.ids]),
    }


def _counts(found: Selection) -> dict[str, int]:
    return {rule: len(ids) for rule, ids in found.dropped.items()}
