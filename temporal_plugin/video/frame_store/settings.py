"""The settings of a store, kept in its folder so that every process uses the same."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from temporal_plugin.video.frame_store.key import FINGERPRINTS, FORMAT
from temporal_plugin.video.frame_store.names import SETTINGS, temporary_name


class StoreError(ValueError):
    """A folder cannot be used as the frame store that was asked for."""


@dataclass(frozen=True)
class Settings:
    """What all users of a folder agree on.

    Attributes:
        max_bytes: entries used longest ago are removed above this size; None: never.
        jpeg_quality: 1 to 100 packs frames as JPEG; None keeps the exact pixels.
        fingerprint: how a video is recognised, see `key.entry_key`.

    Raises:
        ValueError: a value is out of range.
    """

    max_bytes: int | None = None
    jpeg_quality: int | None = None
    fingerprint: str = "quick"

    def __post_init__(self) -> None:
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(f"max_bytes is {self.max_bytes}; it must be 1 or more, or None")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality is {self.jpeg_quality}; allowed: 1 to 100, or None")
        if self.fingerprint not in FINGERPRINTS:
            raise ValueError(
                f"fingerprint is {self.fingerprint!r}; allowed: {', '.join(FINGERPRINTS)}"
            )


def agree(folder: Path, wanted: dict) -> Settings:
    """The settings of a store; a new one gets `wanted` (those that are not None).

    A `max_bytes` that is asked for holds for the asking process, whatever the folder says.

    Raises:
        StoreError: the folder has other settings, or those of a newer version of this package.
        OSError: the folder cannot be made or written.
    """
    wanted = {name: value for name, value in wanted.items() if value is not None}
    settings = Settings(**wanted)
    file = folder / SETTINGS
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write_first(file, {"format": FORMAT, **asdict(settings)})
    stored = _read(file)
    for name in ("jpeg_quality", "fingerprint"):
        if name in wanted and wanted[name] != getattr(stored, name):
            raise StoreError(
                f"the frame store {folder} has {name} {getattr(stored, name)!r}, not "
                f"{wanted[name]!r}; use another folder, or leave {name} out"
            )
    return Settings(**{**asdict(stored), **wanted})


def _read(file: Path) -> Settings:
    try:
        content = json.loads(file.read_text("utf-8"))
        version = content.pop("format")
        if version == FORMAT:
            allowed = {field.name for field in fields(Settings)}
            return Settings(**{name: content[name] for name in allowed})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{file} is damaged ({type(error).__name__}: {error}); remove it: it is written anew"
        ) from error
    raise StoreError(
        f"{file} has format {version!r}; this version of the package writes {FORMAT}: "
        "use another folder, or the version that made it"
    )


def _write_first(file: Path, content: dict) -> None:
    """Write the settings unless another process has done so first."""
    temporary = file.with_name(temporary_name("0" * 64))
    temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
    except OSError:  # a file system without links: whoever comes last wins
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
