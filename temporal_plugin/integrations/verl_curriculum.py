"""The curriculum in verl's training: rows by its draws, success from the rewards, its checkpoint.

verl 0.8 dropped its sampler settings. `verl_trainer` asks this class for the rows of a step
instead of verl's dataloader, which reads ahead and so could neither know what a step measured nor
be stopped at an exact draw. Rows are light: frames are read in the rollout.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from temporal_plugin.curation import difficulty
from temporal_plugin.curation.curriculum import Curriculum
from temporal_plugin.curation.curriculum_settings import CurriculumSettings
from temporal_plugin.integrations.verl_dataset import VIDEO_FAILURE

logger = logging.getLogger(__name__)
STATE_FILE = "temporal_curriculum.json"
"""In each `global_step_<n>` folder, beside verl's own files."""
STEPS_FILE = "curriculum_steps.jsonl"
"""Beside the `global_step_<n>` folders: a line per step; of a step done twice the last counts."""


@dataclass(frozen=True)
class Rollout:
    """One rollout's reward.

    Attributes:
        uid: of the prompt within the run; a sample that is drawn twice has two.
        id: of the sample.
        session: number of the rollout within its group.
        parts: the reward's parts by name.
    """

    uid: str
    id: str
    session: int
    parts: Mapping[str, float]


class TrainingCurriculum:
    """A `Curriculum` over the rows of a training set.

    Args:
        rows: the samples as JSON objects, in the dataset's order.
        settings: `data.temporal.curriculum`; its `seed` is `data.seed` where it is not given.
        batch_size: prompts per step.
        folder: where `STEPS_FILE` goes (`trainer.default_local_dir`).

    Raises:
        ValueError: as `Curriculum` and `CurriculumSettings`; a difficulty file without any of the
            samples.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        settings: CurriculumSettings,
        *,
        batch_size: int,
        folder: str | Path,
    ) -> None:
        rows = list(rows)
        ids = [row["id"] for row in rows]
        self.settings, self.folder = settings, Path(folder)
        stored = stored_difficulty(rows, settings.difficulty)
        self.curriculum = Curriculum(ids, settings, stored, pool_at_least=batch_size)
        self._index = {id: number for number, id in enumerate(ids)}
        logger.info("curriculum over %d samples: %s", len(ids), settings)

    def draw(self, count: int) -> list[int]:
        """The numbers of the next rows of the dataset."""
        return [self._index[id] for id in self.curriculum.draw(count)]

    def measured(self, step: int, rollouts: Iterable[Rollout]) -> dict[str, float]:
        """Takes the rewards of a step, records them in `STEPS_FILE` and returns what to log.

        A rollout whose video failed says nothing about its sample and is left out.

        Raises:
            ValueError: the rewards lack the part that `settings.part` names.
        """
        groups: dict[str, list[Rollout]] = {}
        for rollout in sorted(rollouts, key=lambda item: (item.uid, item.session)):
            groups.setdefault(rollout.uid, []).append(rollout)
        success: dict[str, list[float]] = {}
        lines = []
        for group in groups.values():
            shown = [rollout for rollout in group if not rollout.parts.get(VIDEO_FAILURE)]
            values = [self._success(rollout) for rollout in shown]
            if values:
                success.setdefault(group[0].id, []).append(float(np.mean(values)))
            scores = [rollout.parts.get("score") for rollout in group]
            lines.append({"id": group[0].id, "success": values, "scores": scores})
        self.curriculum.update({id: float(np.mean(values)) for id, values in success.items()})
        self._record({"step": step, "epoch": self.curriculum.epoch, "samples": lines})
        metrics = self.curriculum.metrics([line["id"] for line in lines])
        if success:
            newest = [value for values in success.values() for value in values]
            metrics["curriculum/success_of_step"] = float(np.mean(newest))
        return metrics

    def save(self, checkpoint: str | Path) -> Path:
        """Writes the state into a checkpoint's folder, whole or not at all."""
        path = Path(checkpoint) / STATE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(self.curriculum.state(), file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        return path

    def load(self, checkpoint: str | Path) -> bool:
        """Goes on from a checkpoint's folder; False, with a warning, where it holds no state."""
        path = Path(checkpoint) / STATE_FILE
        if not path.is_file():
            logger.warning("no %s: the curriculum starts anew", path)
            return False
        self.curriculum.restore(json.loads(path.read_text("utf-8")))
        logger.info("curriculum goes on from %s", path)
        return True

    def _success(self, rollout: Rollout) -> float:
        name = self.settings.part
        if name not in rollout.parts:
            raise ValueError(
                f"curriculum.part is {name!r}, but the reward has: {', '.join(rollout.parts)}"
            )
        return float(rollout.parts[name])

    def _record(self, line: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / STEPS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def sample_rows(dataset: Any) -> list[dict[str, Any]]:
    """The samples of a `TemporalDataset` as JSON objects, in its order."""
    return [json.loads(text) for text in dataset.dataframe["sample"]]


def read_steps(folder: str | Path) -> dict[int, dict[str, Any]]:
    """The lines of `STEPS_FILE` by step; of a step that was done twice the later one."""
    text = (Path(folder) / STEPS_FILE).read_text("utf-8")
    # the last line of a killed run may be unfinished
    found = {line["step"]: line for line in map(json.loads, text.split("\n")[:-1])}
    return dict(sorted(found.items()))


def stored_difficulty(
    rows: Iterable[Mapping[str, Any]], path: str | None, setting: str = "curriculum"
) -> dict[str, float]:
    """id -> difficulty in [0, 1], from a file or from the rows' `extra.difficulty`.

    Args:
        rows: the samples as JSON objects.
        path: a file of `temporal-plugin curate difficulty`.
        setting: whose `difficulty` the path is, for the error.

    Raises:
        ValueError: the file names none of the rows.
    """
    if path is None:
        extras = {row["id"]: (row.get("extra") or {}).get("difficulty") for row in rows}
        return {id: float(value) for id, value in extras.items() if isinstance(value, (int, float))}
    known = difficulty.read(path)
    found = {row["id"]: known[row["id"]].difficulty for row in rows if row["id"] in known}
    if not found:
        raise ValueError(f"{setting}.difficulty: {path} names no sample of the training data")
    return found


def settings_of(given: Mapping[str, Any], seed: int | None) -> CurriculumSettings:
    """`data.temporal.curriculum`, with the run's seed where it names none."""
    settings = CurriculumSettings.from_mapping(given)
    return settings if "seed" in given or seed is None else replace(settings, seed=int(seed))
