"""The one error of a video that cannot be used."""


class VideoError(ValueError):
    """A video cannot be read; the message names the file, the reason and the remedy."""


def unreadable(path: object, reason: str) -> VideoError:
    """A VideoError for a file whose content is at fault."""
    return VideoError(
        f"{path}: cannot be decoded ({reason}); "
        "re-encode or remove it, `temporal-plugin data check` lists the files that do not open"
    )
