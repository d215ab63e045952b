"""The settings of a curriculum, as a recipe writes them under `data.temporal.curriculum`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporal_plugin.curation import setting_values
from temporal_plugin.curation.setting_values import check_number, is_count

ORDERS = ("file", "shuffled", "easy_to_hard", "success")


@dataclass(frozen=True)
class CurriculumSettings:
    """How the samples of training are ordered and filtered.

    Attributes:
        order: `file`; `shuffled`, anew each epoch; `easy_to_hard` by the difficulty measured
            before training; `success`, where each step draws by the success measured so far.
        seed: decides every draw.
        difficulty: a file of `temporal-plugin curate difficulty`; without one the difficulty that
            `curate select` wrote into each sample (`extra.difficulty`).
        part: the part of the reward that is the success; `acc` is the IoU of grounding samples.
        newest_share: weight of the newest measurement in the moving average, above 0, to 1.
        solved_above: success from which a sample leaves the pool; None: no such filter.
        solved_return: epochs after which it comes back; None: never.
        hopeless_below: success up to which a sample leaves the pool; None: no such filter.
        hopeless_return: epochs after which it comes back; None: never.
        target, width, floor: of the weights of `success`, see `Curriculum.weights`.

    Raises:
        ValueError: a value outside of what is allowed.
    """

    order: str = "shuffled"
    seed: int = 0
    difficulty: str | None = None
    part: str = "acc"
    newest_share: float = 0.5
    solved_above: float | None = None
    solved_return: int | None = None
    hopeless_below: float | None = None
    hopeless_return: int | None = 2
    target: float = 0.5
    width: float = 0.25
    floor: float = 0.1

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ValueError(f"curriculum.order is {self.order!r}; allowed: {', '.join(ORDERS)}")
        for name in ("newest_share", "floor"):
            _check(name, getattr(self, name), "above 0, to 1", lambda value: 0 < value <= 1)
        _check("width", self.width, "above 0", lambda value: value > 0)
        _check("target", self.target, "a number", lambda value: value == value)
        for name in ("solved_return", "hopeless_return"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), "1 or more, or null", is_count)
        low, high = self.hopeless_below, self.solved_above
        for name in ("solved_above", "hopeless_below"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), "a number, or null", lambda value: value == value)
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"curriculum.hopeless_below is {low}, solved_above {high}; the first must be less"
            )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> CurriculumSettings:
        """From YAML.

        Raises:
            ValueError: an unknown key, or a value outside of what is allowed.
        """
        return setting_values.from_mapping(cls, "curriculum", settings)


def _check(name: str, value: Any, allowed: str, test: Any) -> None:
    check_number(f"curriculum.{name}", value, allowed, test)
