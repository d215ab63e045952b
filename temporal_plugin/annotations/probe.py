"""Can this file be used as a video? One open, one decoded frame."""

from __future__ import annotations

import os
import stat
from pathlib import Path

EXTENSIONS = (".mp4", ".mkv", ".webm", ".avi", ".mov")

Fault = tuple[str, str]
"""(reason, remedy)"""


def require_av() -> None:
    """Raises ImportError with the pip command where PyAV is not installed."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "checking videos needs PyAV: pip install 'temporal-plugin[video]'"
        ) from error


def probe(path: str) -> Fault | None:
    """What is wrong with the video file, or None: it opens and its first frame decodes."""
    file = Path(path).absolute()
    return _file_fault(file) or _video_fault(file)


def _file_fault(file: Path) -> Fault | None:
    try:
        status = file.stat()
        # A pipe or device would block the open for ever; a folder cannot be read.
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file", "name a video file"
        if status.st_size == 0:
            return "empty file (0 bytes)", "download it again"
        if not os.access(file, os.R_OK):
            return "no permission to read", "change its permissions or run as its owner"
    except (FileNotFoundError, NotADirectoryError):
        return "missing", _where_else(file)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return f"cannot be reached ({error})", "check the path and the disk behind it"
    return None


def _where_else(file: Path) -> str:
    for extension in EXTENSIONS:
        other = file.with_suffix(extension)
        if extension != file.suffix and other.is_file():
            return f"{other.name} exists: set `video_extension: {extension}`"
    folder = file.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist: check data_folder"
    return "download it, or check data_folder and video_extension"


def _video_fault(file: Path) -> Fault | None:
    import av

    try:
        # FFmpeg lets what a local file refers to (a playlist) be local only. Do not say so again:
        # the option `protocol_whitelist` crashes PyAV 15 on FLV and MPEG program streams.
        with av.open(str(file)) as container:
            if not container.streams.video:
                return "no video stream", "replace it with the video that belongs to these samples"
            stream = container.streams.video[0]
            if stream.codec_context is None:
                return "its video codec is unknown", "re-encode it, for example as H.264"
            # The files are checked side by side already.
            stream.thread_type = "NONE"
            if next(container.decode(stream), None) is None:
                return "no frame in its video stream", "download it again or re-encode it"
    except (av.FFmpegError, OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"cannot be decoded ({reason})", "download it again or re-encode it"
    return None
