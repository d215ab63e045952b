"""The order of training samples, which learns from the training: a pure state machine.

`draw(n)` gives the ids of the next step, `update({id: success})` takes what the step measured,
`state()` is JSON that `restore` continues from, draw for draw. Three parts:

- order: `file`, `shuffled` or `easy_to_hard` go through every sample of the pool once an epoch;
  `success` draws every step anew (see `Curriculum.weights`).
- filter: at the end of an epoch solved and hopeless samples leave the pool, and come back after
  some epochs. Time-R1 filters so too, but there what is gone stays gone.
- success: an exponential moving average of what each sample's rollouts scored.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from temporal_plugin.curation.chance import id_hashes, uniforms, weighted_order
from temporal_plugin.curation.curriculum_pool import Pool, Record
from temporal_plugin.curation.curriculum_settings import CurriculumSettings

logger = logging.getLogger(__name__)
NAMED = 5  # ids in a message
STATE_VERSION = 1


class Curriculum:
    """See the module.

    Args:
        ids: of all samples, in the file's order.
        settings: see `CurriculumSettings`.
        difficulty: id -> difficulty in [0, 1], measured before training.
        pool_at_least: the filter never leaves fewer samples than this (a step's batch).

    Raises:
        ValueError: no sample, an id twice, or `easy_to_hard` without every sample's difficulty.
    """

    def __init__(
        self,
        ids: Sequence[str],
        settings: CurriculumSettings,
        difficulty: Mapping[str, float] | None = None,
        *,
        pool_at_least: int = 1,
    ) -> None:
        self.ids, self.settings = list(ids), settings
        self.difficulty = dict(difficulty or {})
        _check(self.ids, settings, self.difficulty)
        self._pool = Pool(self.ids, settings, pool_at_least)
        self.epoch, self.draws = 0, 0
        self._hashes = dict(zip(self.ids, id_hashes(self.ids), strict=True))
        self._queue = self._order()
        self._left = len(self.ids)  # draws until the epoch ends

    @property
    def pool(self) -> list[str]:
        """The samples that are not away, in the file's order."""
        return self._pool.ids

    @property
    def records(self) -> dict[str, Record]:
        """id -> what is known of the sample."""
        return self._pool.records

    def draw(self, count: int) -> list[str]:
        """The ids of the next `count` prompts; an epoch may end within.

        No id comes twice, unless the pool is smaller than `count`.

        Raises:
            ValueError: a count below 1.
        """
        if count < 1:
            raise ValueError(f"count is {count}; allowed: 1 or more")
        taken: list[str] = []
        while len(taken) < count:
            if self._left == 0:
                self._next_epoch(taken)
            part = self._some(min(count - len(taken), self._left), taken)
            taken += part
            self._left -= len(part)
        self.draws += 1
        return taken

    def update(self, success: Mapping[str, float]) -> None:
        """Takes what a step measured: id -> mean success of its rollouts.

        Raises:
            ValueError: an unknown id, or a success that is not a number.
        """
        self._pool.update(success)

    def weights(self, ids: Sequence[str]) -> np.ndarray:
        """float64 [N] in [floor, 1]: how likely `success` draws each sample, before it is scaled.

        floor + (1 - floor) exp(-(s - target)^2 / (2 width^2)) of the success s; 1 for a sample
        that was never measured. As no weight is below the floor, none vanishes for ever.
        """
        return self._pool.weights(ids)

    def metrics(self, drawn: Sequence[str]) -> dict[str, float]:
        """What to log of a step that trained on `drawn`; all names start with `curriculum/`."""
        away = [record.why for record in self.records.values() if record.back is not None]
        seen = [record.success for record in self.records.values() if record.success is not None]
        stored = [self.difficulty[id] for id in drawn if id in self.difficulty]
        found = {
            "epoch": float(self.epoch),
            "pool_size": float(len(self.ids) - len(away)),
            "away_solved": float(away.count("solved")),
            "away_hopeless": float(away.count("hopeless")),
            "seen_share": len(seen) / len(self.ids),
        }
        if seen:
            found["success_mean"] = float(np.mean(seen))
        if stored:
            found["difficulty_mean"] = float(np.mean(stored))
        return {f"curriculum/{name}": value for name, value in found.items()}

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, as JSON values."""
        return {
            "version": STATE_VERSION,
            "epoch": self.epoch,
            "draws": self.draws,
            "left": self._left,
            "queue": list(self._queue),
            "records": {
                id: [record.success, record.seen, record.back, record.why]
                for id, record in self.records.items()
                if record != Record()
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken.

        Samples that the data no longer hold are left out and those that are new join at the next
        epoch; both are logged, as the draws then differ from those of the unbroken run.

        Raises:
            ValueError: a state of another version.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"curriculum state has version {state.get('version')!r}; known: {STATE_VERSION}; "
                "start anew with trainer.resume_mode=disable"
            )
        self.epoch, self.draws = int(state["epoch"]), int(state["draws"])
        self._pool = Pool(self.ids, self.settings, self._pool.at_least)
        gone = [id for id in (*state["records"], *state["queue"]) if id not in self.records]
        if gone:
            logger.warning(
                "%d samples of the checkpoint are not in the data any more, such as %s",
                len(set(gone)),
                ", ".join(sorted(set(gone))[:NAMED]),
            )
        for id, (success, seen, back, why) in state["records"].items():
            if id in self.records:
                self.records[id] = Record(success, seen, back, why)
        self._queue = [id for id in state["queue"] if id in self.records]
        in_queue = self.settings.order != "success"
        self._left = len(self._queue) if in_queue else int(state["left"])

    def _some(self, count: int, taken: Sequence[str]) -> list[str]:
        """The next ids within the epoch."""
        if self.settings.order != "success":
            part, self._queue = self._queue[:count], self._queue[count:]
            return part
        pool = self.pool
        free = sorted(set(pool) - set(taken)) or sorted(pool)
        hashes = np.array([self._hashes[id] for id in free], dtype=np.uint64)
        order = weighted_order(
            hashes, np.log(self.weights(free)), "draw", self.settings.seed, self.draws, len(taken)
        )
        return [free[index] for index in order[:count]]

    def _next_epoch(self, taken: Sequence[str]) -> None:
        """Filters, orders anew and puts what the running step has already at the end."""
        self.epoch += 1
        self._pool.end_epoch(self.epoch)
        queue, already = self._order(), set(taken)
        self._queue = [id for id in queue if id not in already]
        self._queue += [id for id in queue if id in already]
        self._left = len(self.pool)

    def _order(self) -> list[str]:
        """The pool in this epoch's order."""
        pool, order = self.pool, self.settings.order
        if order == "file":
            return pool
        hashes = np.array([self._hashes[id] for id in pool], dtype=np.uint64)
        chance = uniforms(hashes, "epoch", self.settings.seed, self.epoch)
        if order == "easy_to_hard":  # among equals by chance
            ranks = np.lexsort((chance, [self.difficulty[id] for id in pool]))
        elif order == "shuffled":
            ranks = np.lexsort((hashes, chance))
        else:
            return []  # drawn anew in every step
        return [pool[index] for index in ranks]


def progress(step: int, total_steps: int) -> float:
    """The share of training that lies behind a step (from 1), in [0, 1): 0 in the first.

    Raises:
        ValueError: not 1 <= step <= total_steps.
    """
    if not 1 <= step <= total_steps:
        raise ValueError(f"step {step} of {total_steps}; allowed: 1 to the number of steps")
    return (step - 1) / total_steps


def _check(
    ids: Sequence[str], settings: CurriculumSettings, difficulty: Mapping[str, float]
) -> None:
    if not ids:
        raise ValueError("a curriculum needs at least one sample")
    twice = sorted(id for id, number in Counter(ids).items() if number > 1)
    if twice:
        raise ValueError(
            f"{len(twice)} ids are there twice, such as {', '.join(twice[:NAMED])}; needed: ids "
            "that are unique among all training files"
        )
    if settings.order == "easy_to_hard":
        lacking = sorted(id for id in ids if id not in difficulty)
        if lacking:
            raise ValueError(
                f"order easy_to_hard: {len(lacking)} of {len(ids)} samples have no difficulty, "
                f"such as {', '.join(lacking[:NAMED])}; train on the output of "
                "`temporal-plugin curate select`, or set curriculum.difficulty to a file of "
                "`curate difficulty`"
            )
