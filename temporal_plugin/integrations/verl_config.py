"""verl's whole configuration for a recipe, without starting anything."""

from __future__ import annotations

from collections.abc import Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig


def compose(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """One of verl's configs or of our recipes, as `--config-name <name> <overrides>` builds it.

    Args:
        name: such as `ppo_trainer`, `sft_trainer_engine` or `timezero_charades`.
        overrides: as on the command line, such as `machine=two_nodes`.

    Raises:
        hydra.errors.MissingConfigException: there is no config of that name.
    """
    GlobalHydra.instance().clear()
    with hydra.initialize_config_module("verl.trainer.config", version_base=None):
        return hydra.compose(name, list(overrides))
