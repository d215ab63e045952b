"""Lets `python -m verl.trainer.main_ppo --config-name <recipe>` find our recipes by name."""

import logging

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from temporal_plugin.resources import resource_dir


class TemporalPluginRecipes(SearchPathPlugin):
    """Appends every recipe folder, so that the host's own configs always win over ours."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        try:
            folders = sorted(resource_dir("recipes").iterdir())
        except FileNotFoundError as error:  # every hydra program passes here: do not break others
            logging.getLogger(__name__).warning("no recipes: %s", error)
            return
        for folder in folders:
            if folder.is_dir():
                search_path.append("temporal-plugin", f"file://{folder}")
