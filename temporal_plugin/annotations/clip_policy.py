"""Whether the window of a row still has to be cut out of its video file.

Some annotations name a window of a longer video (`video_start`, `video_end`) with spans relative
to it, and it is handed round with the whole videos, with files cut to the windows, or with some of
each. Readers keep the window in `Sample.clip`; the data config says what it means:

`trim`: the file is the whole video, so `clip` stays and is cut out when frames are read.
`precut`: the file is the window already, so `clip` goes (the window is kept in
`extra["clip_in_source"]`).

Where the file is there, its real length decides. A window of which the length alone cannot tell
(it starts at 0 and ends with the file) follows the policy, and either way shows the same frames.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePath

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.spans import Span
from temporal_plugin.video.length import length_seconds

POLICIES = ("precut", "trim")
SOURCE_KEY = "clip_in_source"

BY_FILE = "clip_contradicted_by_file"
"""The file's real length says the other thing, and was followed."""
BY_NAME = "clip_contradicted_by_name"
"""`trim`, and the file's name ends in this very window: it is probably cut. The policy stands."""
NEITHER = "clip_fits_neither"
"""The file is neither as long as the window nor long enough to hold it: it is another video."""

_TIME = r"(\d+(?:[:.]\d+)*)"
_WINDOW_NAME = re.compile(rf"_{_TIME}_{_TIME}$")
_SAME_SECONDS = 0.5


def tolerance_seconds(length_seconds: float) -> float:
    """How far two lengths of one video may be apart: 1 s, or 2% of a long one.

    Cutting moves an end to the next key frame, and published durations are often whole seconds.
    """
    return max(1.0, 0.02 * length_seconds)


def settle(sample: Sample, policy: str) -> tuple[Sample, str | None]:
    """The sample as `policy` and its file say, and what contradicts the policy, if anything.

    Args:
        sample: its `video` is where the file would be; opened only if the sample has a clip.
        policy: one of `POLICIES`.

    Returns:
        the sample, and None, BY_FILE, BY_NAME or NEITHER (then the policy stands).
    """
    if sample.clip is None:
        return sample, None
    real = file_seconds(sample.video)
    fits = POLICIES if real is None else _fits(sample.clip, real)
    # Cutting once more at the very start would change nothing.
    starts_later = sample.clip.start_seconds > 0
    if real is None and policy == "trim" and starts_later and names_window(sample):
        return sample, BY_NAME
    if policy in fits:
        return apply(sample, policy), None
    if not fits:
        return apply(sample, policy), NEITHER
    return apply(sample, fits[0]), BY_FILE


def apply(sample: Sample, policy: str) -> Sample:
    """The sample as `policy` says, whatever its file is like."""
    if sample.clip is None or policy == "trim":
        return sample
    start, end = sample.clip.start_seconds, sample.clip.end_seconds
    return replace(
        sample,
        clip=None,
        duration=end - start if sample.duration is None else sample.duration,
        extra={**sample.extra, SOURCE_KEY: [start, end]},
    )


def file_seconds(path: str) -> float | None:
    """Real length of the file, None where it is missing or does not tell."""
    try:
        return length_seconds(path) if Path(path).is_file() else None
    except (OSError, ValueError, ImportError):
        # A broken file, or a name that no file can have, is reported by the check of videos;
        # without PyAV nothing can be measured.
        return None


def _fits(clip: Span, real_seconds: float) -> tuple[str, ...]:
    window = clip.end_seconds - clip.start_seconds
    found = []
    if abs(real_seconds - window) <= tolerance_seconds(window):
        found.append("precut")
    if real_seconds >= clip.end_seconds - tolerance_seconds(window):
        found.append("trim")
    return tuple(found)


def window_of(sample: Sample) -> Span | None:
    """The window that the annotation named, whatever became of it."""
    if sample.clip is not None:
        return sample.clip
    pair = sample.extra.get(SOURCE_KEY)
    return Span(*pair) if pair else None


def names_window(sample: Sample) -> bool:
    """Whether the file's name ends in the sample's window, as in `ID_00:00:39:000_00:01:24:700`."""
    window = window_of(sample)
    match = _named(PurePath(sample.video).stem)
    if window is None or match is None:
        return False
    start, end = (_seconds(word) for word in match.groups())
    return (
        abs(start - window.start_seconds) <= _SAME_SECONDS
        and abs(end - window.end_seconds) <= _SAME_SECONDS
    )


def without_window(stem: str) -> str:
    """A file name without the window that it may end in: what names the whole video."""
    match = _named(stem)
    # Whole numbers alone may be a part of the video's own name, as in `clip_12_34`.
    if match is None or not all(re.search(r"[:.]", word) for word in match.groups()):
        return stem
    return stem[: match.start()]


def _named(stem: str) -> re.Match[str] | None:
    # Only the end is looked at, so that a name of any length takes no time.
    return _WINDOW_NAME.search(stem, max(0, len(stem) - 64))


def _seconds(word: str) -> float:
    """`39.5`, `1:24`, `00:01:24`, or with milliseconds as a fourth part, `00:01:24:700`."""
    parts = word.split(":")
    millis = float(parts.pop()) / 1000 if len(parts) == 4 else 0.0
    total = 0.0
    for part in parts:
        number = re.match(r"\d+(?:\.\d+)?", part)
        total = 60 * total + float(number[0])
    return total + millis
