"""The one error of a video that cannot be used."""


class VideoError(ValueError):
    """A video cannot be read; the message names the file, the reason and the remedy."""


def unreadable(path: object, reason: str | Exception) -> VideoError:
    """A VideoError for a file whose content is at fault."""
    if isinstance(reason, Exception):  # FFmpeg's errors repeat a number and an empty file name
        text = getattr(reason, "strerror", None) or str(reason)
        reason = f"{type(reason).__name__}: {text}" if text else type(reason).__name__
    return VideoError(
        f"{path}: cannot be decoded ({reason}); "
        "re-encode or remove it, `temporal-plugin data check` lists the files that do not open"
    )
