"""Reads what an lmms-eval run of our tasks left behind.

With `--output_path DIR --log_samples` lmms-eval writes, in a folder below DIR named after the
model, `<date>_results.json` and one `<date>_samples_<task>.jsonl` per task. A line of the latter
holds each metric as `{"score", "video"}`; its `miou` also holds `id, query, duration, path,
prediction, truth, well_formed, problem, response`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from temporal_plugin.integrations.lmms_eval_docs import DETAILS_METRIC


def read_results(output_dir: str | Path, *, task: str | None = None) -> dict[str, Any]:
    """The aggregate metrics of the newest run below `output_dir`.

    Returns:
        `{"task", "questions", "<metric>": mean in [0, 1], "<metric>_stderr": clustered by video
        (None where there is one video only), ...}`.

    Raises:
        FileNotFoundError: no results: lmms-eval stopped with an error (its exit status is 0 even
            then), see its output.
        ValueError: the run has several tasks and `task` does not name one of them.
    """
    path = _newest(output_dir, "_results.json")
    run = json.loads(path.read_text(encoding="utf-8"))
    task = _choose(list(run["results"]), task, path)
    found: dict[str, Any] = {"task": task, "questions": run["n-samples"][task]["effective"]}
    for key, value in run["results"][task].items():
        name, _, _ = key.partition(",")
        metric = name.removesuffix("_stderr_clustered")
        if metric != name:
            found[f"{metric}_stderr"] = value if isinstance(value, float) else None
        elif "," in key and "_stderr" not in name:
            found[name] = value
    return found


def read_samples(output_dir: str | Path, *, task: str | None = None) -> list[dict[str, Any]]:
    """The questions of the newest run below `output_dir`, in the order of the annotation file.

    Returns:
        Per question `id, video (name in the dataset), path, query, duration, prediction and truth
        (lists of [start, end] in seconds), iou, response, well_formed, problem,
        request_failed, parse_failed`.

    Raises:
        FileNotFoundError: the run had no `--log_samples`, or stopped with an error.
        ValueError: the run has several tasks and `task` does not name one of them.
    """
    results = _newest(output_dir, "_results.json")
    prefix = results.name.removesuffix("results.json") + "samples_"
    logs = {
        path.stem.removeprefix(prefix): path
        for path in results.parent.iterdir()
        if path.name.startswith(prefix)
    }
    if not logs:
        raise FileNotFoundError(f"no sample log beside {results}: run lmms-eval with --log_samples")
    return read_log(logs[_choose(list(logs), task, results)])


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The questions of one sample log, as `read_samples` gives them."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")  # U+2028 is no line end in JSON
    rows = sorted((json.loads(line) for line in lines if line), key=lambda row: row["doc_id"])
    return [_sample(row) for row in rows]


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    details = dict(row[DETAILS_METRIC])
    return {
        "iou": details.pop("score"),
        "request_failed": bool(row["request_failure"]["score"]),
        "parse_failed": bool(row["parse_failure"]["score"]),
        **details,
    }


def _newest(output_dir: str | Path, suffix: str) -> Path:
    paths = sorted(Path(output_dir).rglob(f"*{suffix}"), key=lambda path: path.name)
    if not paths:
        raise FileNotFoundError(
            f"no *{suffix} below {output_dir}: lmms-eval stopped with an error (it exits with 0 "
            "even then); look at its output"
        )
    return paths[-1]


def _choose(names: list[str], wanted: str | None, where: Path) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    raise ValueError(f"task {wanted!r} of {where}; it holds: {', '.join(sorted(names))}")
