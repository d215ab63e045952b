"""Annotation files and videos behind a URL: copied once into a folder of this computer.

Any file system that fsspec knows will do (`s3://`, `hf://`, `gs://`, `https://`, ...). Everything
that reads annotations or decodes videos then works on ordinary files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError

CACHE_SETTING = "TEMPORAL_PLUGIN_CACHE"
"""Environment variable: where copies are kept; `~/.cache/temporal-plugin` where it is not set."""


def is_remote(path: object) -> bool:
    """Whether `path` is a URL and not a path of this computer."""
    return isinstance(path, str) and "://" in path


def cache_folder(url: str) -> Path:
    """The folder for copies of what lies at or below `url`; it need not exist."""
    root = Path(os.environ.get(CACHE_SETTING) or "~/.cache/temporal-plugin").expanduser()
    return root.absolute() / "remote" / hashlib.sha256(url.encode()).hexdigest()[:16]


def local_copy(url: str) -> Path:
    """The file at `url` as a file here, copied unless the same version of it is here already.

    Raises:
        AnnotationError: it cannot be reached or copied.
        ImportError: fsspec is not installed (names the pip command).
    """
    system, path = _open_system(url)
    try:
        # The version is a part of the name, so that a file changed at its origin is copied anew.
        version = system.ukey(path)[:16]
    except Exception as error:  # every file system has its own
        raise _unreachable(url, error) from error
    copy = cache_folder(url) / version / Path(path).name
    if not copy.is_file():
        fetch(url, copy)
    return copy


def fetch(url: str, copy: Path) -> None:
    """Copies the file at `url` to `copy`, whole or not at all.

    Raises:
        AnnotationError: it cannot be reached or copied.
        ImportError: fsspec is not installed (names the pip command).
    """
    system, path = _open_system(url)
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_name(f"{copy.name}.{os.getpid()}.part")
    try:
        with system.open(path, "rb") as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        part.replace(copy)
    except Exception as error:  # every file system has its own
        raise _unreachable(url, error) from error
    finally:
        part.unlink(missing_ok=True)


def _open_system(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            f"{url} is remote, which needs fsspec: pip install 'temporal-plugin[remote]'"
        ) from error
    try:
        return fsspec.core.url_to_fs(url)
    except Exception as error:  # an unknown protocol, or one whose package is not installed
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> AnnotationError:
    return AnnotationError(
        f"cannot be fetched ({type(error).__name__}: {error})",
        where=url,
        remedy="check the address, your access and, for protocols such as s3, that its fsspec "
        "package is installed",
    )
