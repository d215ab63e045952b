"""How much of a hard sample's video is shown as training goes on: `data.temporal.masking`.

The masking curriculum eases hard samples: at first little is shown besides the truth, later all of
it. VideoTG-R1 (arXiv 2510.23397) has such a curriculum, but its schedule is not public; the three
here are our own. Which frames a fraction means is `video.masking`'s matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporal_plugin.curation import setting_values
from temporal_plugin.curation.setting_values import check_number, is_count
from temporal_plugin.video.masking import AUTO, MODES

SCHEDULES = ("linear", "step", "cosine")


@dataclass(frozen=True)
class MaskingSettings:
    """Which samples are masked, and how the fraction shown beside the truth grows.

    Attributes:
        schedule: `linear`; `step`, in `steps` equal jumps; `cosine`, slow at both ends.
        start: fraction in the first step of training, 0 to 1.
        full_at: share of training from which everything is shown, above 0, to 1.
        steps: jumps of `step`, 1 or more.
        mode: "drop" leaves hidden frames out, which needs timestamps in the text (Qwen3-VL);
            "blank" paints them black; "auto" drops where that is possible.
        hard_above: a sample is masked where its difficulty is above this, 0 to 1; None: every
            sample is, measured or not.
        difficulty: a file of `temporal-plugin curate difficulty`; without one the difficulty that
            `curate select` wrote into each sample (`extra.difficulty`).
        seed: decides, with the sample's id, which frames come first.

    Raises:
        ValueError: a value outside of what is allowed.
    """

    schedule: str = "linear"
    start: float = 0.0
    full_at: float = 0.5
    steps: int = 4
    mode: str = AUTO
    hard_above: float | None = 0.7
    difficulty: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("schedule", SCHEDULES), ("mode", (AUTO, *MODES))):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"masking.{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}"
                )
        check_number("masking.start", self.start, "0 to 1", _is_share)
        if self.hard_above is not None:
            check_number("masking.hard_above", self.hard_above, "0 to 1, or null", _is_share)
        check_number("masking.full_at", self.full_at, "above 0, to 1", lambda v: 0 < v <= 1)
        check_number("masking.steps", self.steps, "1 or more", is_count)
        check_number("masking.seed", self.seed, "a whole number", lambda v: isinstance(v, int))

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> MaskingSettings:
        """From YAML.

        Raises:
            ValueError: an unknown key, or a value outside of what is allowed.
        """
        return setting_values.from_mapping(cls, "masking", settings)

    def fraction(self, progress: float) -> float:
        """k: the fraction of the other steps of a hard sample that is shown, in [start, 1].

        With x = progress / full_at: `linear` shows start + (1 - start) x, `step` floor(steps x) /
        steps in the place of x, `cosine` (1 - cos(pi x)) / 2. From x = 1 on it is 1. It never
        falls, so with nested masks what was shown stays shown.

        Args:
            progress: share of training that lies behind, 0 to 1 (`extra_info.progress`).

        Raises:
            ValueError: a progress outside of 0 to 1.
        """
        check_number("progress", progress, "0 to 1", lambda value: 0 <= value <= 1)
        share = progress / self.full_at
        if share >= 1:
            return 1.0
        if self.schedule == "step":
            share = math.floor(self.steps * share) / self.steps
        elif self.schedule == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return min(1.0, self.start + (1 - self.start) * share)


def _is_share(value: Any) -> bool:
    return 0 <= value <= 1
