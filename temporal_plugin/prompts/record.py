"""The prompt that a checkpoint was trained with, written beside it and compared at evaluation.

A run writes `RECORD_FILE` once into the folder that holds its checkpoints; for a checkpoint the
folder itself is looked at first and then those above it, since trainers nest them
(`global_step_30/actor/huggingface`). The record holds the words, not only their fingerprint, so
that a checkpoint can still be asked in them when the template has since been edited.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from temporal_plugin.prompts.template import Prompt

logger = logging.getLogger(__name__)

RECORD_FILE = "temporal_prompt.json"
LEVELS_UP = 3
_FIELDS = ("name", "system", "user", "video_position", "contract")


def write_record(folder: str | Path, prompt: Prompt) -> Path:
    """Writes `folder/RECORD_FILE`, whole or not at all; the folder is made if need be.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(folder) / RECORD_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {name: getattr(prompt, name) for name in _FIELDS}
    text = json.dumps({"fingerprint": prompt.fingerprint, **fields}, indent=2, ensure_ascii=False)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
    return path


def read_record(checkpoint: str | Path) -> Prompt | None:
    """The prompt on record for the checkpoint, None where there is none (a model from a hub).

    Raises:
        ValueError: there is a record that is not one of ours; names the file.
    """
    folder = Path(checkpoint).absolute()
    for place in (folder, *folder.parents[:LEVELS_UP]):
        path = place / RECORD_FILE
        if path.is_file():
            return _read(path)
    return None


def _read(path: Path) -> Prompt:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Prompt(**{name: fields[name] for name in _FIELDS})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"prompt record {path} cannot be read ({type(error).__name__}: {error}); it must hold "
            f"{', '.join(_FIELDS)}. Write it again with prompts.write_record, or remove it."
        ) from error


def mismatch(checkpoint: str | Path, prompt: Prompt) -> str | None:
    """What to tell the user where `prompt` is not what the checkpoint was trained with.

    None where they agree or nothing is on record.

    Raises:
        ValueError: as `read_record`.
    """
    trained = read_record(checkpoint)
    if trained is None or trained.fingerprint == prompt.fingerprint:
        return None
    return (
        f"checkpoint {checkpoint} was trained with the prompt {trained.name!r} "
        f"({trained.fingerprint}), it is now asked with {prompt.name!r} ({prompt.fingerprint}): "
        "scores may drop for the wording alone"
    )


def warn_on_mismatch(checkpoint: str | Path, prompt: Prompt) -> bool:
    """Logs `mismatch` as a warning; True if there was one.

    An unreadable record is a warning too: it is no reason to stop an evaluation.
    """
    try:
        text = mismatch(checkpoint, prompt)
    except ValueError as error:
        text = str(error)
    if text is not None:
        logger.warning("%s", text)
    return text is not None
