"""Which frames are taken from a video and at what size."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from temporal_plugin.video import sizes

FRAME_FACTOR = 2  # Qwen-VL models merge frames in pairs
CHOICES = {
    "times": ("qwen", "exact"),
    "resize": ("exact", "fast"),
    "decoder": ("auto", "torchcodec", "decord", "pyav"),
}
#: of `Sampling`: limits in pixels, each of which can be given in tokens instead
LIMITS = ("min_pixels", "max_pixels", "total_pixels")
#: of `Sampling`: what qwen-vl-utils knows, by the same names
QWEN_SETTINGS = ("fps", "min_frames", "max_frames", "min_pixels", "max_pixels", "total_pixels")


@dataclass(frozen=True)
class Sampling:
    """How frames are chosen and sized; names and meaning are those of qwen-vl-utils.

    Attributes:
        fps: frames per second to aim at, > 0.
        min_frames: at least so many frames (rounded up to even), where the video has them.
        max_frames: at most so many frames (rounded down to even).
        min_pixels: least height * width of a resized frame; None takes qwen-vl-utils' default.
        max_pixels: greatest height * width of a resized frame; None takes the default.
        total_pixels: greatest sum over all frames, which lowers max_pixels for long videos.
        min_tokens, max_tokens, total_tokens: the same limits counted in the area of a token
            (28 * 28 pixels for Qwen2.5-VL, 32 * 32 for Qwen3-VL), so that one setting fits both.
        times: "qwen" takes evenly spaced frame numbers, as qwen-vl-utils does; "exact" takes
            the frames whose presentation times are nearest to an even grid of `fps`.
        resize: "exact" gives the bytes of qwen-vl-utils; "fast" resizes in integers, some ten
            times faster, 0.1 to 0.2 grey levels off on average.
        decoder: "auto" reads with PyAV. All give the same frames; PyAV and decord the same bytes.

    Raises:
        ValueError: fps is not positive and finite, a limit is below 1 or under its lower
            counterpart, a limit is given in pixels and in tokens, or a choice is unknown.
    """

    fps: float = 2.0
    min_frames: int = 4
    max_frames: int = 768
    min_pixels: int | None = None
    max_pixels: int | None = None
    total_pixels: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    total_tokens: int | None = None
    times: str = "qwen"
    resize: str = "exact"
    decoder: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"sampling.fps is {self.fps!r}; it must be above 0 frames per second")
        if not FRAME_FACTOR <= self.min_frames <= self.max_frames:
            raise ValueError(
                f"sampling.min_frames is {self.min_frames} and max_frames is {self.max_frames}; "
                f"needed: {FRAME_FACTOR} <= min_frames <= max_frames"
            )
        for name in LIMITS:
            in_tokens = name.replace("pixels", "tokens")
            for unit in (name, in_tokens):
                value = getattr(self, unit)
                if value is not None and value < 1:
                    raise ValueError(f"sampling.{unit} is {value}; it must be 1 or more, or null")
            if getattr(self, name) is not None and getattr(self, in_tokens) is not None:
                raise ValueError(f"sampling has {name} and {in_tokens}; give one of them")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"sampling.{name} is {getattr(self, name)!r}; allowed: {allowed}")

    @classmethod
    def from_mapping(cls, settings: Mapping | None) -> "Sampling":
        """Build from a YAML mapping; an unknown key is an error that names the allowed ones."""
        settings = dict(settings or {})
        allowed = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(allowed))
        if unknown:
            raise ValueError(f"unknown sampling setting {unknown}; allowed: {allowed}")
        return cls(**settings)

    def limit(self, name: str, token_pixels: int) -> int | None:
        """A limit of `LIMITS` in pixels, where a token covers `token_pixels` of them."""
        tokens = getattr(self, name.replace("pixels", "tokens"))
        return getattr(self, name) if tokens is None else tokens * token_pixels

    def video_entry(self) -> dict[str, Any]:
        """The settings that qwen-vl-utils knows, as keys of its video entry."""
        values = {name: getattr(self, name) for name in QWEN_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}

    def key(self) -> str:
        """Canonical JSON of all that decides the pixels: equal keys, equal frames.

        The decoder counts only where it is torchcodec, whose colours are its own FFmpeg's; the
        default token budget counts because an environment variable can change it.
        """
        values = asdict(self)
        values["fps"] = float(self.fps)
        values["decoder"] = "torchcodec" if self.decoder == "torchcodec" else "any"
        if self.total_pixels is None and self.total_tokens is None:
            values["default_tokens"] = sizes.sequence_tokens()
        return json.dumps(values, sort_keys=True, separators=(",", ":"))
