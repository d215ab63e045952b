"""Answers kept on disk as they come, so that a killed run goes on where it stopped.

lmms-eval's own `--use_cache` stores answers only after the model class has returned all of them,
and reads a run's file back only once that run has ended well; a killed run leaves nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, TokenCounts
from loguru import logger

#: folder where a model class's own argument names none
RESUME_VARIABLE = "TEMPORAL_PLUGIN_RESUME"


class AnswerLog:
    """Answers by key; a line of JSON for each, in one file per process rank.

    A line is written whole by one system call, so that a killed process tears the last one at
    most; a torn line is left out and its question asked again.

    Args:
        folder: where the files lie; None or "" keeps nothing. All files there are read, so that
            a run may go on with another number of processes.
        rank: of this process; it alone writes its file.
    """

    def __init__(self, folder: str | Path | None, rank: int = 0) -> None:
        self._answers: dict[str, GenerationResult] = {}
        self._file: int | None = None
        if not folder:
            return
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("answers_*.jsonl")):
            self._read(path)
        path = folder / f"answers_{rank}.jsonl"
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if torn:
            os.write(self._file, b"\n")
        logger.info(f"{len(self._answers)} answers of an earlier run in {folder}")

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str) -> GenerationResult | None:
        """The answer kept under `key`, or None."""
        return self._answers.get(key)

    def put(self, key: str, answer: GenerationResult) -> None:
        """Keep an answer, on disk before this returns (it survives the process, not the machine).

        Raises:
            OSError: it cannot be written.
        """
        if self._file is None:
            return
        tokens = answer.token_counts.output_tokens if answer.token_counts else None
        row = {"key": key, "text": answer.text, "output_tokens": tokens}
        os.write(self._file, json.dumps(row).encode() + b"\n")  # ASCII: no lone surrogate fails
        self._answers[key] = answer

    def close(self) -> None:
        """Close the file; what was kept can still be read."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self, path: Path) -> None:
        torn = 0
        for line in path.read_bytes().split(b"\n"):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                counts = TokenCounts(output_tokens=row["output_tokens"])
                answer = GenerationResult(str(row["text"]), counts)
                self._answers[str(row["key"])] = answer
            except (ValueError, KeyError, TypeError, RecursionError):
                torn += 1
        if torn:
            logger.warning(f"{path}: {torn} lines cannot be read; their questions are asked again")


class Keys:
    """Keys of one run's questions: equal in two runs where the model would see the same.

    Args:
        identity: all that decides an answer beside the question: model, weights, settings.
    """

    def __init__(self, identity: Mapping[str, Any]) -> None:
        self._identity = _digest(identity)
        self._seen: Counter[str] = Counter()

    def key(self, messages: list[dict], generation: Mapping[str, Any]) -> str:
        """The key of the next question; one that is asked n times gets n keys, in order."""
        seen = [
            [message["role"], [_seen_part(part) for part in message["content"]]]
            for message in messages
        ]
        base = _digest([self._identity, seen, dict(generation)])
        self._seen[base] += 1
        return f"{base}-{self._seen[base]}"


def weights_version(checkpoint: str) -> list:
    """What changes when the files of a local checkpoint do; empty for a hub's name."""
    folder = Path(checkpoint)
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [[path.name, *_version(path)] for path in files]


def _seen_part(part: Mapping[str, Any]) -> list:
    """What a key takes of one entry of a message."""
    if part["type"] == "text":
        return ["text", part["text"]]
    url = part.get("url")
    if hasattr(url, "tobytes"):  # a picture in memory
        shown = [url.mode, url.size, hashlib.sha256(url.tobytes()).hexdigest()]
    else:
        shown = [str(url), *_version(Path(str(url)))]
    seen = [part["type"], shown, part.get("start_time"), part.get("end_time")]
    return [*seen, part["mask"]] if part.get("mask") else seen


def _version(path: Path) -> tuple[int, int] | tuple[()]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
