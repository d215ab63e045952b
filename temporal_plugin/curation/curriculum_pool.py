"""What a curriculum knows of its samples, and which of them are in the pool."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from temporal_plugin.curation.curriculum_settings import CurriculumSettings

logger = logging.getLogger(__name__)
FOREVER = -1


@dataclass
class Record:
    """What is known of a sample.

    Attributes:
        success: moving average in [0, 1]; None before the first measurement.
        seen: how many steps have measured it.
        back: the epoch in which it comes back, FOREVER for none, None while it is in the pool.
        why: "solved" or "hopeless" while it is away.
    """

    success: float | None = None
    seen: int = 0
    back: int | None = None
    why: str = ""


class Pool:
    """Samples that come and go by their success.

    Args:
        ids: of all samples, in the file's order; unique.
        settings: see `CurriculumSettings`.
        at_least: the filter never leaves fewer samples than this.
    """

    def __init__(self, ids: Sequence[str], settings: CurriculumSettings, at_least: int) -> None:
        self.settings, self.at_least = settings, min(at_least, len(ids))
        self.records = {id: Record() for id in ids}

    @property
    def ids(self) -> list[str]:
        """The samples that are not away, in the file's order."""
        return [id for id, record in self.records.items() if record.back is None]

    def update(self, success: Mapping[str, float]) -> None:
        """See `Curriculum.update`."""
        newest = self.settings.newest_share
        for id, value in success.items():
            if id not in self.records:
                raise ValueError(f"{id!r} is no sample of this curriculum")
            if not np.isfinite(value):
                raise ValueError(f"success of {id!r} is {value}; needed: a finite number")
            record = self.records[id]
            old = value if record.success is None else record.success
            record.success = float(newest * value + (1 - newest) * old)
            record.seen += 1

    def weights(self, ids: Sequence[str]) -> np.ndarray:
        """See `Curriculum.weights`."""
        rule = self.settings
        known = [self.records[id].success for id in ids]
        s = np.array([rule.target if value is None else value for value in known], dtype=float)
        bell = np.exp(-((s - rule.target) ** 2) / (2 * rule.width**2))
        return rule.floor + (1 - rule.floor) * bell

    def end_epoch(self, next_epoch: int) -> None:
        """Samples come back and leave, by what is known at the end of an epoch."""
        rule = self.settings
        for record in self.records.values():
            if record.back is not None and record.back != FOREVER and record.back <= next_epoch:
                record.back, record.why = None, ""
            elif record.back is None and record.success is not None:
                if rule.solved_above is not None and record.success >= rule.solved_above:
                    record.back, record.why = _due(next_epoch, rule.solved_return), "solved"
                elif rule.hopeless_below is not None and record.success <= rule.hopeless_below:
                    record.back, record.why = _due(next_epoch, rule.hopeless_return), "hopeless"
        self._fill()

    def _fill(self) -> None:
        """Brings samples back where the filter left too few: the nearest to the target first."""
        short = self.at_least - len(self.ids)
        if short <= 0:
            return
        target = self.settings.target
        away = [id for id, record in self.records.items() if record.back is not None]
        away.sort(key=lambda id: (abs((self.records[id].success or 0.0) - target), id))
        for id in away[:short]:
            self.records[id].back, self.records[id].why = None, ""
        logger.warning("the curriculum's filter left too few samples; %d came back early", short)


def _due(epoch: int, epochs: int | None) -> int:
    return FOREVER if epochs is None else epoch + epochs
