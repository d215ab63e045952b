"""The masking curriculum in verl's training: hard samples get a mask, by their step's progress.

`verl_trainer` puts the masks into the prompts before they are handed out. So all rollouts of a
group and the log-prob pass see the same frames, validation, which takes another way, sees all of
them, and a resumed run, whose progress comes from the step, goes on with the same masks.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from temporal_plugin.curation.masking_schedule import MaskingSettings
from temporal_plugin.integrations.verl_curriculum import stored_difficulty
from temporal_plugin.integrations.verl_dataset import with_video_settings
from temporal_plugin.spans import Span
from temporal_plugin.video.masking import Mask, chosen_mode

logger = logging.getLogger(__name__)
TIMESTAMPS_IN_TEXT = ("Qwen3VLProcessor",)


class TrainingMasks:
    """Which rows of a training set are masked, and what each step shows of them.

    A row without spans has nothing that must stay visible, and one without a difficulty is not
    known to be hard: both are shown whole.

    Args:
        rows: the samples as JSON objects, in the dataset's order.
        settings: `data.temporal.masking`; its `seed` is `data.seed` where it is not given.
        processor: the model's processor, which decides whether frames can be dropped.

    Raises:
        ValueError: no row has a difficulty, or `mode` is "drop" and the model is not told the
            time in words.
    """

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], settings: MaskingSettings, processor: Any
    ) -> None:
        self.settings = settings
        told = type(processor).__name__ in TIMESTAMPS_IN_TEXT
        self.mode = chosen_mode(settings.mode, timestamps_in_text=told)
        hard = hard_ids(rows, settings)
        #: place of each masked row -> its id and spans
        self.masked: dict[int, tuple[str, tuple[Span, ...]]] = {
            place: (row["id"], tuple(Span(*pair) for pair in row["spans"]))
            for place, row in enumerate(rows)
            if row["id"] in hard and row.get("spans")
        }
        self._report(rows, hard)
        self._step, self._prompts, self._changed = 0, 0, 0

    def _report(self, rows, hard) -> None:
        logger.info("masking (%s) %d of %d samples", self.mode, len(self.masked), len(rows))
        bare = sum(row["id"] in hard for row in rows) - len(self.masked)
        if bare:
            logger.warning("masking: %d hard samples have no span and are shown whole", bare)
        if not self.masked:
            logger.warning("masking: no sample is hard, so nothing is masked")

    def mask(self, place: int, progress: float) -> Mask | None:
        """What is shown of a row at this share of training; None: all of it."""
        fraction = self.settings.fraction(progress)
        if place not in self.masked or fraction >= 1:
            return None
        id, spans = self.masked[place]
        return Mask(spans, "curriculum", fraction, f"{self.settings.seed}/{id}", self.mode)

    def apply(
        self, prompts: Sequence[list[dict]], places: Sequence[int], *, step: int, progress: float
    ) -> list[list[dict]]:
        """The prompts of one fetch with masks in the video entries of hard samples.

        Args:
            prompts: the messages of each prompt.
            places: the row of each prompt.
            step: the step of training that they are for.
            progress: share of training that lies behind the step.
        """
        if step != self._step:
            self._step, self._prompts, self._changed = step, 0, 0
        masks = [self.mask(place, progress) for place in places]
        self._prompts += len(masks)
        self._changed += sum(mask is not None for mask in masks)
        return [
            messages if mask is None else with_video_settings(messages, mask=mask.to_mapping())
            for messages, mask in zip(prompts, masks, strict=True)
        ]

    def metrics(self, progress: float) -> dict[str, float]:
        """What to log of the step whose prompts were fetched last.

        Returns:
            `masking/fraction`: k, 1 from `full_at` on; `masking/masked_share`: the share of the
            step's prompts that were masked.
        """
        found = {"masking/fraction": self.settings.fraction(progress)}
        if self._prompts:
            found["masking/masked_share"] = self._changed / self._prompts
        return found


def hard_ids(rows: Sequence[Mapping[str, Any]], settings: MaskingSettings) -> set[str]:
    """The ids of the samples whose difficulty is above `hard_above`; how many is not known is said.

    Raises:
        ValueError: no row has a difficulty.
    """
    ids = [row["id"] for row in rows]
    if settings.hard_above is None:
        return set(ids)
    known = stored_difficulty(rows, settings.difficulty, "masking")
    if not known:
        raise ValueError(
            "masking needs the difficulty of the samples, and none has one: train on the output "
            "of `temporal-plugin curate select`, set masking.difficulty to a file of `curate "
            "difficulty`, or mask all samples with masking.hard_above=null"
        )
    unknown = [id for id in ids if id not in known]
    if unknown:
        logger.warning(
            "masking: %d of %d samples have no difficulty and are shown whole, such as %s",
            len(unknown), len(ids), ", ".join(unknown[:5]),
        )  # fmt: skip
    return {id for id, value in known.items() if value > settings.hard_above}


def masking_of(given: Mapping[str, Any], seed: int | None) -> MaskingSettings:
    """`data.temporal.masking`, with the run's seed where it names none."""
    settings = MaskingSettings.from_mapping(given)
    return settings if "seed" in given or seed is None else replace(settings, seed=int(seed))
