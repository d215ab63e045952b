"""Hiding parts of a sampled video, without moving the time of what stays.

Two uses: boundary reflection shows only what lies outside the annotated spans, and the masking
curriculum shows the spans and a part of the rest that grows with training (the idea is that of
VideoTG-R1, arXiv 2510.23397; its constants are not public, these are our own).

The unit is the temporal step of the Qwen-VL models: frames 2i and 2i + 1, which become one row of
tokens. Both are shown or both are hidden, so every step that stays is the step it was before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.timing import FRAMES_PER_STEP

SHOWS = ("outside", "curriculum")
MODES = ("drop", "blank")
AUTO = "auto"


@dataclass(frozen=True)
class Mask:
    """What of a video is shown, as the `mask` of a chat's video entry says it.

    Attributes:
        spans: seconds, half-open, relative to the clip.
        show: "outside" hides the steps that touch the spans; "curriculum" shows them and
            `fraction` of the others.
        fraction: in [0, 1]; of "curriculum" only.
        seed: decides which of the others are shown; holds the sample's id.
        mode: "drop" leaves the hidden frames out, "blank" paints them black.

    Raises:
        ValueError: an unknown `show` or `mode`, or a fraction outside of [0, 1].
    """

    spans: tuple[Span, ...]
    show: str
    fraction: float = 0.0
    seed: str = ""
    mode: str = "blank"

    def __post_init__(self) -> None:
        _check_choice("show", self.show, SHOWS)
        _check_choice("mode", self.mode, MODES)
        _check_fraction(self.fraction)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Mask:
        """Read the `mask` of a video entry, whose spans are pairs of seconds.

        Raises:
            ValueError: an unknown or missing key, or a value outside of what is allowed.
        """
        allowed = [item.name for item in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(allowed))
        missing = [name for name in ("spans", "show") if name not in values]
        if unknown or missing:
            raise ValueError(
                f"mask has keys {sorted(values)}; allowed: {allowed}, needed: spans, show"
            )
        return cls(**{**values, "spans": tuple(Span(*pair) for pair in values["spans"])})

    def to_mapping(self) -> dict[str, Any]:
        """JSON-able; `from_mapping` restores it."""
        pairs = [[span.start_seconds, span.end_seconds] for span in self.spans]
        return {**asdict(self), "spans": pairs}

    def kept(self, pts_seconds: np.ndarray) -> np.ndarray:
        """bool [T]: which frames are shown, see `kept_steps`."""
        return kept_steps(
            pts_seconds, self.spans, show=self.show, fraction=self.fraction, seed=self.seed
        )

    def apply(self, frames: Frames, path: str | Path) -> Frames:
        """The frames of the file `path` as the mask shows them; see `kept_steps` and `masked`.

        Raises:
            VideoError: nothing is left to show.
        """
        try:
            return masked(frames, self.kept(frames.pts_seconds), self.mode)
        except VideoError as error:
            raise VideoError(f"{path}: {error}") from error


def kept_steps(
    pts_seconds: np.ndarray,
    spans: Sequence[Span],
    *,
    show: str,
    fraction: float = 0.0,
    seed: str = "",
) -> np.ndarray:
    """Which frames are shown: bool [T], equal for both frames of a step.

    A step lasts from its first frame to the next step's first frame; the first step begins at 0
    and the last one never ends. So every moment belongs to one step, and a span touches at least
    one, even if it is shorter than the distance of two frames.

    The other steps of "curriculum" come in a fixed random order, of which the first
    `round-half-up(fraction * others)` are shown: a larger fraction shows what a smaller one did.
    The order depends on the seed and the step's number only, so all machines draw the same.

    Args:
        pts_seconds: float64 [T], rising, T at least 1; an odd last frame is a step of its own.
        spans: seconds on the clock of `pts_seconds`.
        show: see `Mask`.
        fraction: likewise.
        seed: likewise.

    Raises:
        VideoError: nothing is left to show.
        ValueError: an unknown `show`, or a fraction outside of [0, 1].
    """
    _check_choice("show", show, SHOWS)
    _check_fraction(fraction)
    touched = touching(pts_seconds, spans)  # [ceil(T / 2)]
    if show == "outside":
        kept = ~touched
        reason = f"the spans {_listed(spans)} cover all of it"
    else:
        others = np.flatnonzero(~touched)
        ranked = sorted(others.tolist(), key=lambda step: _rank(seed, step))
        kept = touched.copy()
        kept[ranked[: math.floor(fraction * len(others) + 0.5)]] = True
        reason = f"there is no span, and a fraction of {fraction:g} rounds to no step"
    if not kept.any():
        raise VideoError(
            f"nothing of the {len(touched)} steps of two frames is left to show: {reason}"
        )
    return np.repeat(kept, FRAMES_PER_STEP)[: len(pts_seconds)]


def touching(pts_seconds: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """Which steps hold a moment of the spans: bool [ceil(T / 2)]; see `kept_steps`.

    A span without length is the moment at which it starts.
    """
    starts = np.array(pts_seconds[::FRAMES_PER_STEP], dtype=np.float64)
    starts[:1] = 0.0
    ends = np.append(starts[1:], np.inf)
    found = np.zeros(len(starts), dtype=bool)
    for span in spans:
        start, end = span.start_seconds, span.end_seconds
        found |= (starts <= start) & (start < ends) | (starts < end) & (start < ends)
    return found


def masked(frames: Frames, keep: np.ndarray, mode: str) -> Frames:
    """The frames with what is not kept left out or painted black.

    The result shares no memory with `frames`, unless everything is kept: then it is `frames`.

    Args:
        frames: T of them.
        keep: bool [T], equal for both frames of a step, as `kept_steps` returns it.
        mode: "drop" leaves hidden frames out; what stays keeps its time, which only a model that
            reads a time before every step can be told (see `chosen_mode`). "blank" paints them
            black and keeps the number of frames.

    Raises:
        ValueError: an unknown mode, another length of `keep`, or a step kept by half.
    """
    _check_choice("mode", mode, MODES)
    keep = np.asarray(keep, dtype=bool)
    if len(keep) != len(frames):
        raise ValueError(f"keep names {len(keep)} frames of {len(frames)}; needed: one each")
    pairs = len(keep) // FRAMES_PER_STEP * FRAMES_PER_STEP
    if (keep[:pairs:2] != keep[1:pairs:2]).any():
        raise ValueError("keep splits a step: frames 2i and 2i + 1 are shown or hidden together")
    if keep.all():
        return frames
    if mode == "blank":
        pixels = frames.pixels.clone()
        pixels[torch.from_numpy(~keep)] = 0
        return dataclasses.replace(frames, pixels=pixels)
    return dataclasses.replace(
        frames,
        pixels=frames.pixels[torch.from_numpy(keep)],
        pts_seconds=np.asarray(frames.pts_seconds)[keep],
        indices=tuple(frames.indices[place] for place in np.flatnonzero(keep)),
    )


def chosen_mode(mode: str, *, timestamps_in_text: bool) -> str:
    """The `mode` of a `Mask` for a family of models.

    Args:
        mode: "auto", "drop" or "blank"; "auto" drops where that is possible.
        timestamps_in_text: the family reads a time before every step (Qwen3-VL). Qwen2.5-VL hears
            one interval for the whole video, so leaving frames out would move all the later ones.

    Raises:
        ValueError: an unknown mode, or "drop" for a family without timestamps.
    """
    _check_choice("mode", mode, (AUTO, *MODES))
    if mode == "drop" and not timestamps_in_text:
        raise ValueError(
            "mode 'drop' needs a model that reads a time before every step, such as Qwen3-VL; this "
            "one hears a single interval for the whole video, so that dropped frames would shift "
            "the time of all later ones: use 'blank' (or 'auto')"
        )
    return ("drop" if timestamps_in_text else "blank") if mode == AUTO else mode


def _rank(seed: str, step: int) -> bytes:
    key = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    return hashlib.blake2b(step.to_bytes(8, "big"), key=key, digest_size=16).digest()


def _listed(spans: Sequence[Span]) -> str:
    return ", ".join(f"[{s.start_seconds:g}, {s.end_seconds:g})" for s in spans)


def _check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"mask {name} is {value!r}; allowed: {', '.join(allowed)}")


def _check_fraction(value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ValueError(f"mask fraction is {value!r}; allowed: 0 to 1")
