"""Which frames are taken from a video and at what size."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

FRAME_FACTOR = 2  # Qwen-VL models merge frames in pairs


@dataclass(frozen=True)
class Sampling:
    """How frames are chosen; the fields and their meaning are those of qwen-vl-utils.

    Attributes:
        fps: frames per second to aim at, > 0.
        min_frames: at least so many frames (rounded up to even), where the video has them.
        max_frames: at most so many frames (rounded down to even).
        min_pixels: least height * width of a resized frame; None takes qwen-vl-utils' default.
        max_pixels: greatest height * width of a resized frame; None takes the default.
        total_pixels: greatest sum over all frames, which lowers max_pixels for long videos.

    Raises:
        ValueError: fps is not positive, or a limit is below 1 or under its lower counterpart.
    """

    fps: float = 2.0
    min_frames: int = 4
    max_frames: int = 768
    min_pixels: int | None = None
    max_pixels: int | None = None
    total_pixels: int | None = None

    def __post_init__(self) -> None:
        if not self.fps > 0:
            raise ValueError(f"sampling.fps is {self.fps!r}; it must be above 0 frames per second")
        if not FRAME_FACTOR <= self.min_frames <= self.max_frames:
            raise ValueError(
                f"sampling.min_frames is {self.min_frames} and max_frames is {self.max_frames}; "
                f"needed: {FRAME_FACTOR} <= min_frames <= max_frames"
            )
        for name in ("min_pixels", "max_pixels", "total_pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"sampling.{name} is {value}; it must be 1 or more, or null")

    @classmethod
    def from_mapping(cls, settings: Mapping | None) -> "Sampling":
        """Build from a YAML mapping; an unknown key is an error that names the allowed ones."""
        settings = dict(settings or {})
        allowed = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(allowed))
        if unknown:
            raise ValueError(f"unknown sampling setting {unknown}; allowed: {allowed}")
        return cls(**settings)

    def video_entry(self) -> dict:
        """The settings as keys of a qwen-vl-utils video entry."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
