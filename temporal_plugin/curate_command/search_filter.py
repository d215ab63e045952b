"""The command `temporal-plugin curate search-filter`: what is worth searching for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin.command_errors import errors
from temporal_plugin.curate_command.output import AsJson, MaxListed, named, show

if TYPE_CHECKING:
    from temporal_plugin.annotations import Sample
    from temporal_plugin.curation.search_filter import Asked
    from temporal_plugin.curation.selection import Selection

EXAMPLE = """Example, the second run asking only what the first leaves:

\b
  export TEMPORAL_PLUGIN_CURATE_DATA=all.yaml
  lmms-eval --model temporal_search --tasks curate_uniform --output_path easy --log_samples
    --model_args pretrained=MODEL,search=uniform,uniform_frames=4,preview=false
  temporal-plugin curate search-filter all.yaml --uniform easy --out not_easy.jsonl
  export TEMPORAL_PLUGIN_CURATE_DATA=not_easy.jsonl
  lmms-eval --model temporal_search --tasks curate_search --repeats 4 --output_path tries
    --log_samples --model_args pretrained=MODEL,encoder=ENCODER,store=STORE
  temporal-plugin curate search-filter all.yaml --uniform easy --search tries --out kept.jsonl
"""
UNIFORM_TASKS = ("curate_uniform", "curate_uniform_think")
SEARCH_TASKS = ("curate_search", "curate_search_think")


def search_filter(
    data: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    uniform: Annotated[
        list[Path], typer.Option(help="Logs of curate_uniform, of all shards; may come twice.")
    ],
    out: Annotated[
        Path, typer.Option(help="The Sample JSONL to write; data.train_files takes it.")
    ],
    search: Annotated[
        list[Path] | None,
        typer.Option(help="Logs of curate_search; left out, only the first stage is applied."),
    ] = None,
    max_frames: Annotated[int, typer.Option(min=1, help="Frames that one try may look at.")] = 64,
    solved_above: Annotated[
        float, typer.Option(help="A try solves a question with a score above this.")
    ] = 0.5,
    as_json: AsJson = False,
    max_listed: MaxListed = 5,
) -> None:
    """Drop what a few uniform frames answer, then what search cannot answer.

    The kept samples stand in the order of the data; each gets `extra.searched`: how many of its
    tries solved it. What was dropped is counted by rule and named; a question whose video failed
    is dropped by a rule of its own. Shards merge exactly.
    """
    with errors(as_json):
        from temporal_plugin.annotations import load_samples, sample_jsonl
        from temporal_plugin.curation import search_filter as rules

        samples = {sample.id: sample for sample in load_samples(data)}
        easy = _asked(uniform, UNIFORM_TASKS)
        tries = _asked(search, SEARCH_TASKS) if search else None
        found = rules.search_filter(
            list(samples), easy, tries, solved_above=solved_above, max_frames=max_frames
        )
        report = _report(found, easy, tries, max_listed)
        if not found.ids:
            raise ValueError(f"no sample is left; dropped: {report['dropped']}")
        limits = (solved_above, max_frames)
        sample_jsonl.write(out, [_marked(samples[id], tries, *limits) for id in found.ids])
    show({"ok": True, "samples": len(samples), **report, "out": str(out)}, as_json)


def _asked(places: list[Path], tasks: tuple[str, ...]) -> Asked:
    from temporal_plugin.curation.search_filter import from_log
    from temporal_plugin.integrations.lmms_eval_curation import log_files, read_logs

    return from_log(read_logs(log_files(places, tasks=tasks)))


def _marked(sample: Sample, tries: Asked | None, above: float, max_frames: int) -> Sample:
    if tries is None:
        return sample
    row = tries.rows[sample.id]
    mark = {"solved": row.solved(above, max_frames), "tries": len(row.scores)}
    return replace(sample, extra={**sample.extra, "searched": mark})


def _report(
    found: Selection, uniform: Asked, search: Asked | None, max_listed: int
) -> dict[str, Any]:
    return {
        "kept": len(found.ids),
        "copies": uniform.copies + (search.copies if search else 0),
        "dropped": {rule: named(ids, max_listed) for rule, ids in found.dropped.items()},
        "not_asked": named(found.missing, max_listed),
        "not_in_data": named(found.extra, max_listed),
    }
