"""A benchmark's files from the Hugging Face hub, only where the user asks for them."""

from __future__ import annotations

import os
import zipfile
from functools import cache
from pathlib import Path

from loguru import logger

DOWNLOAD_SETTING = "TEMPORAL_PLUGIN_DOWNLOAD"
"""Environment variable; "1" downloads what a task with `dataset_kwargs.hub` has there."""

UNPACKED = ".unpacked"  # behind the name of an archive that needs no second look


def is_asked_for() -> bool:
    """Whether this run may download."""
    return os.environ.get(DOWNLOAD_SETTING) == "1"


@cache  # the twenty tasks of MVBench share one repository
def fetch(repository: str, folder: Path) -> None:
    """Download a dataset's repository and unpack its zip files where they lie, once per process.

    What is there already is not downloaded or unpacked again. Ask for it in a run of one process.

    Args:
        repository: `organisation/name` of a dataset.
        folder: where its files go; created where missing.

    Raises:
        OSError: the hub cannot be reached, or has no such repository.
        ValueError: an archive is damaged; names it.
    """
    from huggingface_hub import snapshot_download

    logger.info(f"downloading {repository} into {folder}")
    snapshot_download(repository, repo_type="dataset", local_dir=folder)
    for archive in sorted(folder.rglob("*.zip")):
        unpack(archive)


def unpack(archive: Path) -> None:
    """Unpack a zip file beside itself, unless that was done before.

    Raises:
        ValueError: the archive is damaged, or a name in it leads out of its folder.
    """
    done = archive.with_name(archive.name + UNPACKED)
    if done.exists():
        return
    try:
        with zipfile.ZipFile(archive) as content:
            for name in content.namelist():
                if not (archive.parent / name).resolve().is_relative_to(archive.parent.resolve()):
                    raise ValueError(f"{archive} holds {name!r}, which leads out of its folder")
            content.extractall(archive.parent)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{archive} is damaged ({error}); delete it and run again") from error
    done.touch()
