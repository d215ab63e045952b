"""`temporal-plugin curate difficulty`: how hard each sample is, from the answers of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from temporal_plugin.command_errors import errors
from temporal_plugin.curate_command.output import (
    AsJson,
    Asked,
    MaxListed,
    Results,
    RowsOut,
    Task,
    histogram,
    named,
    show,
)

if TYPE_CHECKING:
    from temporal_plugin.annotations import Sample
    from temporal_plugin.curation.difficulty import Measured

EXAMPLE = """Example: temporal-plugin curate difficulty results --out difficulty.jsonl,
after

\b
  TEMPORAL_PLUGIN_CURATE_DATA=charades.yaml lmms-eval --model temporal_qwen_vl
    --model_args pretrained=MODEL --tasks curate_difficulty --repeats 8
    --output_path results --log_samples
"""


def measure(
    results: Results,
    out: RowsOut,
    data: Asked = None,
    task: Task = None,
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
    show({"ok": True, "logs": len(files), **report, "out": str(out)}, as_json)


def _measured(found: Measured, samples: Sequence[Sample] | None, max_listed: int) -> dict[str, Any]:
    """What to say about a measurement; fills in the sources of its rows."""
    report: dict[str, Any] = {"measured": len(found.rows), "copies": found.copies}
    report["answers_per_sample"] = dict(
        sorted(Counter(len(row.ious) for row in found.rows).items())
    )
    report["failed_videos"] = named(found.failed, max_listed)
    if samples is not None:
        sources = {sample.id: sample.source for sample in samples}
        found.rows = [replace(row, source=sources.get(row.id, row.source)) for row in found.rows]
        answered = {row.id for row in found.rows} | set(found.failed)
        report["not_asked"] = named(sorted(set(sources) - answered), max_listed)
        report["not_in_data"] = named(sorted(answered - set(sources)), max_listed)
    report["levels"] = dict(Counter(row.level() for row in found.rows))
    report["difficulty"] = histogram([row.difficulty for row in found.rows])
    return report
