"""`temporal-plugin curate boundaries`: which annotations lack an occurrence of their event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin.command_errors import errors
from temporal_plugin.curate_command.output import (
    AsJson,
    Asked,
    MaxListed,
    Results,
    RowsOut,
    Task,
    named,
    show,
)

if TYPE_CHECKING:
    from temporal_plugin.annotations import Sample
    from temporal_plugin.curation.boundary_log import Reflected

EXAMPLE = """Example: temporal-plugin curate boundaries results --out boundaries.jsonl, after

\b
  TEMPORAL_PLUGIN_CURATE_DATA=charades.yaml lmms-eval --model temporal_qwen_vl
    --model_args pretrained=MODEL --tasks curate_boundaries
    --output_path results --log_samples
"""
PLANT_EXAMPLE = """Example: temporal-plugin curate plant qvhighlights.yaml --out planted.jsonl
--truth truth.jsonl; then reflect on planted.jsonl, and give `curate boundaries` the --truth"""


def reflect(
    results: Results,
    out: RowsOut,
    data: Asked = None,
    agree: Annotated[
        int | None, typer.Option(help="Answers that must name a moment for it to count [2].")
    ] = None,
    margin_seconds: Annotated[
        float | None,
        typer.Option(help="What is found this near to the annotation is its edge [1]."),
    ] = None,
    margin_share: Annotated[
        float | None, typer.Option(help="The same as a share of the duration [0.02].")
    ] = None,
    least_seconds: Annotated[
        float | None, typer.Option(help="Shortest stretch beyond the margin that counts [1].")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="JSONL with id and planted: measures how right the flag is."),
    ] = None,
    task: Task = None,
    as_json: AsJson = False,
    max_listed: MaxListed = 5,
) -> None:
    """Find samples whose annotation lacks an occurrence of the event: the partial ones.

    The model saw only the video outside of the annotated spans. Time that at least `--agree` of
    its answers name counts as found; a sample is partial where an uninterrupted stretch of
    `--least-seconds` of that lies beyond the margin. Answers that cannot be read name nothing and
    stay in the denominator. Shards merge exactly, as in `curate difficulty`.
    """
    given = {
        "agree": agree, "margin_seconds": margin_seconds, "margin_share": margin_share,
        "least_seconds": least_seconds,
    }  # fmt: skip
    with errors(as_json):
        from temporal_plugin.annotations import load_samples
        from temporal_plugin.curation import boundary_log, boundary_rows, planted
        from temporal_plugin.curation.boundary_reflection import ReflectionSettings
        from temporal_plugin.integrations.lmms_eval_curation import BOUNDARIES, log_files, read_logs

        settings = ReflectionSettings.from_mapping(
            {name: value for name, value in given.items() if value is not None}
        )
        files = log_files(results, task, BOUNDARIES)
        found = boundary_log.from_log(read_logs(files), settings)
        if not found.rows:
            raise ValueError(f"no sample was looked at: {len(found.failed)} videos failed")
        samples = None if data is None else load_samples(data)
        report = _reflected(found, samples, max_listed)
        if truth is not None:
            report["against_truth"] = planted.quality(planted.read(truth), found.partial)
        boundary_rows.write(out, found.rows)
    report |= {"settings": asdict(settings), "out": str(out)}
    show({"ok": True, "logs": len(files), **report}, as_json)


def _reflected(
    found: Reflected, samples: Sequence[Sample] | None, max_listed: int
) -> dict[str, Any]:
    """What to say about a reflection; fills in the sources of its rows."""
    asked = [row for row in found.rows if row.answers]
    report: dict[str, Any] = {
        "samples": len(found.rows) + len(found.failed),
        "copies": found.copies,
        "asked": len(asked),
        "answers_per_sample": dict(sorted(Counter(row.answers for row in asked).items())),
        "answers": found.answers,
        "partial": named(found.partial, max_listed),
        "partial_share_of_asked": len(found.partial) / len(asked) if asked else None,
        "with_unparsable_answers": named(found.unparsable, max_listed),
        "nothing_outside": named(found.nothing_outside, max_listed),
        "under_2_seconds": named(found.short, max_listed),
        "failed_videos": named(found.failed, max_listed),
    }
    if samples is not None:
        sources = {sample.id: sample.source for sample in samples}
        other = {s.id for s in samples if s.task != "grounding" or not s.spans}
        found.rows = [replace(row, source=sources.get(row.id, row.source)) for row in found.rows]
        seen = {row.id for row in found.rows} | set(found.failed)
        report["other_tasks"] = named(sorted(other - seen), max_listed)
        report["not_asked"] = named(sorted(set(sources) - seen - other), max_listed)
        report["not_in_data"] = named(sorted(seen - set(sources)), max_listed)
    return report


def plant(
    data: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    out: Annotated[Path, typer.Option(help="The Sample JSONL to write, for reflection.")],
    truth: Annotated[Path, typer.Option(help="The JSONL to write: id and planted.")],
    share: Annotated[float, typer.Option(help="How many of them lose a span.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Decides which, and which span.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make labelled data for reflection: hide one span of samples that have several.

    Samples with two or more annotated moments, such as those of QVHighlights, become a test of
    `curate boundaries` on real videos: where one moment is taken out of the annotation, the
    partial flag must find it. Samples with one span are left out, as nobody knows whether those
    are complete.
    """
    with errors(as_json):
        from temporal_plugin.annotations import load_samples, sample_jsonl
        from temporal_plugin.curation import planted

        samples = load_samples(data)
        chosen, rows = planted.plant(samples, share=share, seed=seed)
        if not chosen:
            raise ValueError(f"none of the {len(samples)} samples of {data} has several spans")
        sample_jsonl.write(out, chosen)
        planted.write(truth, rows)
    report = {"samples": len(samples), "with_several_spans": len(chosen)}
    report |= {"planted": sum(rows.values()), "out": str(out), "truth": str(truth)}
    show({"ok": True, **report}, as_json)
