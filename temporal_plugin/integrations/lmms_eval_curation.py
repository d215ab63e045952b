"""The sample logs of curation runs, in one run or in shards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from temporal_plugin.integrations.lmms_eval_results import read_log

DIFFICULTY = (
    *("curate_difficulty", "curate_difficulty_think"),
    *("curate_difficulty_greedy", "curate_difficulty_greedy_think"),
)
BOUNDARIES = ("curate_boundaries", "curate_boundaries_think")


def log_files(
    places: Iterable[str | Path], task: str | None = None, tasks: Sequence[str] = DIFFICULTY
) -> list[Path]:
    """The sample logs at and below the given files and folders, each once, sorted.

    Of a folder, the logs of all runs below it count: the shards of a run may share one. Logs of
    other tasks than `tasks` are passed over; `task` names the one that is wanted.

    Raises:
        FileNotFoundError: a place that is not there, or that holds no such log.
        ValueError: the logs are of several tasks and `task` names none of them.
    """
    found: dict[Path, str] = {}
    for place in map(Path, places):
        logs = [place] if place.is_file() else sorted(place.rglob("*_samples_*.jsonl"))
        named = {path.resolve(): path.stem.partition("_samples_")[2] for path in logs}
        if not place.is_file():
            wanted = tasks if task is None else (task,)
            named = {path: name for path, name in named.items() if name in wanted}
        if not named:
            raise FileNotFoundError(
                f"no sample log of {task or tasks[0]} at {place}: run lmms-eval with "
                "--log_samples; it exits with 0 even after an error, so look at its output"
            )
        found |= named
    if len(set(found.values())) > 1:
        raise ValueError(
            f"logs of several tasks: {', '.join(sorted(set(found.values())))}; choose with --task"
        )
    return sorted(found)


def read_logs(files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The rows of several sample logs, as `lmms_eval_results.read_samples` gives them.

    Raises:
        ValueError: a line that is not JSON, or of a task that is none of ours; names the file.
    """
    rows = []
    for path in files:
        try:
            rows += read_log(path)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: no sample log of our tasks ({error})") from error
    return rows
