"""How long a video file is, read from its header."""

from functools import lru_cache


@lru_cache(maxsize=65536)
def length_seconds(path: str) -> float:
    """Length of the file in seconds, > 0.

    Raises:
        ValueError: the file cannot be opened, or does not say how long it is.
    """
    import av

    try:
        with av.open(path) as container:
            duration = container.duration
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"{path} cannot be opened as a video ({error})") from error
    if not duration:
        raise ValueError(f"{path} does not say how long it is; re-encode it with ffmpeg")
    return duration / av.time_base
