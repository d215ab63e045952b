"""EasyR1's data files from ours: samples become the row that both trainers read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from temporal_plugin.annotations import Sample, load_samples
from temporal_plugin.integrations.easyr1_dataset import faults_of, listing
from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.resources import located
from temporal_plugin.video.errors import VideoError

logger = logging.getLogger(__name__)
ROWS = "temporal_rows"
DATA_FILES = ("train_files", "val_files")


def with_rows(config: DictConfig, settings: Settings) -> DictConfig:
    """The config with data files of samples replaced by rows that EasyR1 reads.

    Raises:
        AnnotationError: a file holds rows that cannot be asked with `temporal.prompt`.
        VideoError: a video is missing or unreadable and `on_bad_video` is "fail"; lists them.
    """
    folder = Path(
        OmegaConf.select(config, "trainer.save_checkpoint_path")
        or Path("checkpoints")
        / OmegaConf.select(config, "trainer.project_name", default="easy_r1")
        / OmegaConf.select(config, "trainer.experiment_name", default="demo")
    )
    for key in DATA_FILES:
        name = OmegaConf.select(config, f"data.{key}")
        source = located(name) if name else None
        if source is not None and source.is_file() and _holds_samples(source):
            rows = _write_rows(source, settings, folder / ROWS / f"{key}.jsonl")
            OmegaConf.update(config, f"data.{key}", str(rows))
            OmegaConf.update(config, "data.prompt_key", "problem")
            OmegaConf.update(config, "data.answer_key", "answer")
    return config


def _holds_samples(path: Path) -> bool:
    """Whether the file is a data config or holds samples, and not EasyR1's rows."""
    if path.suffix in (".yaml", ".yml"):
        return True
    if path.suffix != ".jsonl":
        return False
    with path.open(encoding="utf-8") as file:
        try:
            row = json.loads(next((line for line in file if line.strip()), "{}"))
        except ValueError:
            return False  # EasyR1 says what is wrong with it
    return isinstance(row, Mapping) and {"task", "query", "video"} <= set(row)


def _write_rows(source: Path, settings: Settings, out: Path) -> Path:
    from temporal_plugin import prompts
    from temporal_plugin.annotations.durations import with_duration
    from temporal_plugin.annotations.export import export

    samples = _openable(list(load_samples(source)), settings.on_bad_video)
    samples = [with_duration(sample) for sample in samples]
    # verl's form of the common row, since it can say clips
    done = export(samples, "verl", out, prompts.load(settings.prompt))
    logger.info("%d rows of %s: %s", done.rows, source, out)
    return out


def _openable(samples: list[Sample], on_bad_video: str) -> list[Sample]:
    """The samples whose videos can be opened: one without a length is measured from its header."""
    faults = faults_of({sample.video for sample in samples})
    if not faults:
        return samples
    if on_bad_video == "fail":
        raise VideoError(listing(faults))
    kept = [sample for sample in samples if sample.video not in faults]
    logger.warning("%s\n%d samples skipped", listing(faults), len(samples) - len(kept))
    return kept
