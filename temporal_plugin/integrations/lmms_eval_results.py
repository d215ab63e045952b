"""Reads what an lmms-eval run of our tasks left behind.

With `--output_path DIR --log_samples` lmms-eval writes, in a folder below DIR named after the
model, `<date>_results.json` and one `<date>_samples_<task>.jsonl` per task. A line of the latter
holds each metric as `{"score", "video"}`, or null where the metric is that of another category; one
of them, the `details` of its kind, also describes the question and the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COUNTS = "questions/"
"""Beginning of the metrics that count a category's questions; they have no standard error."""


def read_results(output_dir: str | Path, *, task: str | None = None) -> dict[str, Any]:
    """The aggregate metrics of the newest run below `output_dir`.

    Returns:
        `{"task", "questions", "<metric>": mean in [0, 1], "<metric>_stderr": clustered by video
        (None where there is one video only), ...}`; by category `<metric>/<value>`, of
        `questions/<value>` questions. Of a group: its pooled metrics, "questions" is None.

    Raises:
        FileNotFoundError: no results: lmms-eval stopped with an error (its exit status is 0 even
            then), see its output.
        ValueError: the run has several tasks and `task` does not name one of them.
    """
    path = _newest(output_dir, "_results.json")
    run = json.loads(path.read_text(encoding="utf-8"))
    task = _choose(list(run["results"]), task, path)
    found: dict[str, Any] = {"task": task, "questions": _questions(run, task)}
    for key, value in run["results"][task].items():
        name, _, _ = key.partition(",")
        metric = name.removesuffix("_stderr_clustered")
        if metric != name and not name.startswith(COUNTS):
            found[f"{metric}_stderr"] = value if isinstance(value, float) else None
        elif "," in key and "_stderr" not in name:
            found[name] = value
    return found


def read_samples(output_dir: str | Path, *, task: str | None = None) -> list[dict[str, Any]]:
    """The questions of the newest run below `output_dir`, in the order of the annotation file.

    Returns:
        Per question `id, kind, video (name in the dataset), path, query, duration, prediction and
        truth (lists of [start, end] in seconds), choice and letter (given and true, or None),
        category ({name: value}), response, responses, predictions and problems (of `repeats`),
        well_formed, problem, request_failed, parse_failed, scores ({metric: score})`, and `iou`
        where spans are asked for.

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
    items = {
        name: item
        for name, item in row.items()
        if name != "doc" and isinstance(item, dict) and "video" in item
    }
    details = next((item for item in items.values() if "id" in item), None)
    if details is None:
        raise ValueError(
            f"document {row.get('doc_id')} is none of our tasks: no metric of it describes the "
            "question (lmms-eval's own tasks do not)"
        )
    found = {name: value for name, value in details.items() if name != "score"}
    found.setdefault("responses", [found.get("response")])
    found.setdefault("predictions", [found.get("prediction")])
    found.setdefault("problems", [found.get("problem")])
    found |= {
        "scores": {name: item["score"] for name, item in items.items() if "score" in item},
        "request_failed": bool(row["request_failure"]["score"]),
        "parse_failed": bool(row["parse_failure"]["score"]),
    }
    return {"iou": items["miou"]["score"], **found} if "miou" in items else found


def _questions(run: dict[str, Any], task: str) -> int | None:
    sizes = run["n-samples"].get(task)
    return None if sizes is None else sizes["effective"]


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
