"""Our settings in an EasyR1 run: the config key `temporal`, which EasyR1 itself would refuse.

The launcher takes the key out of the config and hands it to every process of the run in one
environment variable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from temporal_plugin.video.sampling import Sampling

VARIABLE = "TEMPORAL_PLUGIN_EASYR1"
ON_BAD_VIDEO = ("fail", "skip")


@dataclass(frozen=True)
class Settings:
    """The key `temporal`.

    Attributes:
        prompt: template for data files that hold samples (data configs, Sample .jsonl); rows that
            were exported have their words already.
        sampling: settings of `Sampling` that overrule EasyR1's `data.video_fps`, `min_pixels` and
            `max_pixels`.
        frame_store: folder of decoded frames; None: TEMPORAL_PLUGIN_FRAME_STORE, or no store.
        on_bad_video: "fail" lists all bad videos and stops before a model loads; "skip" leaves
            their rows out and counts them.
        patch_size: edge of the vision tower's patch in pixels; the launcher reads it from the
            model.

    Raises:
        ValueError: a value is not one of those.
    """

    prompt: str = "think_answer"
    sampling: Mapping[str, Any] = field(default_factory=dict)
    frame_store: str | None = None
    on_bad_video: str = "fail"
    patch_size: int = 14

    def __post_init__(self) -> None:
        if self.on_bad_video not in ON_BAD_VIDEO:
            raise ValueError(
                f"temporal.on_bad_video is {self.on_bad_video!r}; allowed: {ON_BAD_VIDEO}"
            )
        Sampling.from_mapping(self.sampling)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any] | None) -> Settings:
        """Build from the config's key; an unknown key is an error that names the allowed ones."""
        values = dict(values or {})
        allowed = [item.name for item in fields(cls)]
        unknown = sorted(set(values) - set(allowed))
        if unknown:
            raise ValueError(f"unknown temporal setting {unknown}; allowed: {allowed}")
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """The variable that tells the other processes."""
        return {VARIABLE: json.dumps({**asdict(self), "sampling": dict(self.sampling)})}

    @classmethod
    def from_environment(cls) -> Settings:
        """What the launcher said.

        Raises:
            RuntimeError: this process was not started by it.
        """
        text = os.environ.get(VARIABLE)
        if text is None:
            raise RuntimeError(
                f"{VARIABLE} is not set: start EasyR1 with "
                "`python -m temporal_plugin.integrations.easyr1_launch config=...`"
            )
        return cls.from_mapping(json.loads(text))

    def of_run(self, video_fps: float, min_pixels: int | None, max_pixels: int | None) -> Sampling:
        """The sampling of a video, given what EasyR1's own settings say of it."""
        own = {"fps": video_fps, "min_pixels": min_pixels, "max_pixels": max_pixels}
        return Sampling.from_mapping({**own, **self.sampling})
