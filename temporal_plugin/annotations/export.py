"""Samples as data files for other programs: the same input gives the same bytes.

Beside `OUT` stands `OUT.meta.json` with the prompt (name, fingerprint and words), the number of
rows and what was left out. Nothing is written half: files get their names when they are whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError, shown
from temporal_plugin.annotations.export_files import as_json, whole, write_rows, write_text
from temporal_plugin.annotations.export_rows import (
    CannotExport,
    Target,
    sample_row,
    sft_row,
    trainer_row,
)
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.prompts import Prompt, load, shipped

logger = logging.getLogger(__name__)

Row = Callable[[Sample, Target, int], dict[str, Any]]
FORMATS: dict[str, Row] = {
    "verl": trainer_row,
    "easyr1": trainer_row,
    "llamafactory": sft_row,
    "jsonl": sample_row,
    "lmms_eval": sample_row,
}
TASK_CLASSES = {
    "grounding": "GroundingTask",
    "choice": "ChoiceTask",
    "grounded_choice": "GroundedChoiceTask",
    "open": "CaptionTask",
}
"""`Sample.task` -> the class of `integrations.lmms_eval_task` that asks it."""
SUFFIXES = {"verl": (".parquet", ".jsonl"), "easyr1": (".parquet", ".jsonl")}
EXAMPLES = 3


@dataclass
class Exported:
    """What was written: the files, the rows in the main one, and rows left out by reason."""

    files: list[Path]
    rows: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)


def export(
    samples: Sequence[Sample],
    to: str,
    out: str | Path,
    prompt: Prompt,
    *,
    relative_to: str | Path | None = None,
    skip: bool = False,
) -> Exported:
    """Writes `samples` for the program `to`, a key of `FORMATS`.

    Args:
        out: the file to write; for lmms_eval the folder of the task, whose name is the task's.
        prompt: the words in which the model is asked.
        relative_to: write video paths relative to this folder, all of which must be below it.
        skip: leave out and count what the format cannot say, instead of refusing all.

    Raises:
        AnnotationError: an unknown format or suffix, no samples, or one that the format cannot
            say (names the reasons, how many rows have them and a few ids).
        ImportError: pyarrow is not installed (only for .parquet).
    """
    out = Path(out)
    _check(to, out, samples)
    folder = None if relative_to is None else Path(relative_to).resolve()
    clips = to == "verl" and any(sample.clip is not None for sample in samples)
    target = Target(prompt, folder, clips)
    done = Exported([out / f"{out.name}.jsonl" if to == "lmms_eval" else out])
    done.files[0].parent.mkdir(parents=True, exist_ok=True)
    with whole(done.files[0]) as part:
        rows = _rows(samples, FORMATS[to], target, done.left_out)
        done.rows = write_rows(part, out.suffix, rows, clips=clips)
        _refuse(done, to, skip)
    if to == "lmms_eval":
        done.files += _write_task(out, prompt, samples[0].task)
    if to == "llamafactory":
        done.files.append(out.with_name("dataset_info.json"))
        _write_dataset_info(done.files[-1], out)
    done.files.append(done.files[0].with_name(f"{done.files[0].name}.meta.json"))
    write_text(done.files[-1], as_json(_meta(to, prompt, done)))
    return done


def _check(to: str, out: Path, samples: Sequence[Sample]) -> None:
    if to not in FORMATS:
        raise AnnotationError(
            "unknown export format", field="to", value=to, allowed=", ".join(FORMATS)
        )
    allowed = SUFFIXES.get(to, (".json", ".jsonl") if to == "llamafactory" else (".jsonl",))
    kinds = sorted({sample.task for sample in samples})
    if to == "lmms_eval" and len(kinds) > 1:
        raise AnnotationError(
            "a task of lmms-eval asks one kind of question",
            field="task",
            value=kinds,
            allowed=" or ".join(TASK_CLASSES),
            remedy="export each kind to a folder of its own",
        )
    if to != "lmms_eval" and out.suffix not in allowed:
        raise AnnotationError(
            f"{to} reads no such file", field="out", value=str(out), allowed=", ".join(allowed)
        )


def _rows(
    samples: Sequence[Sample], row: Row, target: Target, left_out: dict[str, list[str]]
) -> Iterator[dict[str, Any]]:
    index = 0
    for sample in samples:
        try:
            yield row(sample, target, index)
        except CannotExport as reason:
            left_out.setdefault(str(reason), []).append(sample.id)
        else:
            index += 1


def _refuse(done: Exported, to: str, skip: bool) -> None:
    reasons = [
        f"{len(ids)} rows ({', '.join(map(shown, ids[:EXAMPLES]))}): {reason}"
        for reason, ids in done.left_out.items()
    ]
    if reasons and not skip:
        raise AnnotationError(
            f"some rows cannot be said in the format {to}: {'; '.join(reasons)}",
            remedy="choose another prompt or format, or leave them out with --skip",
        )
    if not done.rows:
        raise AnnotationError("; ".join(["nothing is left to export", *reasons]))
    for reason in reasons:
        logger.warning("left out of the export: %s", reason)


def _meta(to: str, prompt: Prompt, done: Exported) -> dict[str, Any]:
    return {
        "format": to,
        "rows": done.rows,
        "left_out": {reason: len(ids) for reason, ids in done.left_out.items()},
        "prompt": {
            "name": prompt.name,
            "fingerprint": prompt.fingerprint,
            "contract": prompt.contract,
            "video_position": prompt.video_position,
            "system": prompt.system,
            "user": prompt.user,
        },
    }


def _write_dataset_info(path: Path, data: Path) -> None:
    """Adds our entry to LLaMA-Factory's list of data sets, which may hold others'."""
    table: Any = {}
    if path.exists():
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise AnnotationError(f"not JSON ({error})", where=str(path)) from None
        if not isinstance(table, dict):
            raise AnnotationError("not a list of data sets", where=str(path), value=table)
    table[data.stem] = {
        "file_name": data.name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
    write_text(path, as_json(table))


def _write_task(folder: Path, prompt: Prompt, kind: str) -> list[Path]:
    """A task for lmms-eval of samples whose `task` is `kind`, and its prompt if not one of ours.

    lmms-eval finds the task with `--include_path FOLDER`, its data below TEMPORAL_PLUGIN_DATA.
    """
    files = [folder / f"{folder.name}.yaml"]
    reference = prompt.name
    if not _is_shipped(prompt):
        files.append(folder / "prompt.yaml.inc")  # not .yaml, which would be taken for a task
        fields = ("system", "user", "video_position", "contract")
        write_text(files[1], as_json({name: getattr(prompt, name) for name in fields}))
        reference = str(files[1].resolve())
    text = f"""task: {json.dumps(folder.name)}
class: !function temporal_plugin.integrations.lmms_eval_task.{TASK_CLASSES[kind]}
dataset_kwargs:   # set TEMPORAL_PLUGIN_DATA to the folder that holds this one
  format: jsonl
  annotations: {json.dumps(f"{folder.name}/{folder.name}.jsonl")}
  prompt: {json.dumps(reference)}
"""
    write_text(files[0], text)
    return files


def _is_shipped(prompt: Prompt) -> bool:
    if prompt.name.partition("@")[0] not in shipped():
        return False
    return load(prompt.name).fingerprint == prompt.fingerprint
