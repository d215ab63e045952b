"""Where our YAML folders lie, in a wheel and in a checkout, and where the user's datasets do."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent

DATA_SETTING = "TEMPORAL_PLUGIN_DATA"
"""Environment variable: the folder that holds all datasets; `./data` where it is not set."""

RECIPE_SCHEME = "recipe:"
"""`recipe:<folder>/<file>` names a file that our recipes bring along."""


def resource_dir(name: str) -> Path:
    """Return the folder `name` ("lmms_tasks" or "recipes").

    A wheel carries it inside the package as `_<name>`; an editable install has it beside the
    package.

    Raises:
        FileNotFoundError: the folder is in neither place (a broken install).
    """
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"the folder {name!r} is missing from this installation of temporal-plugin "
        f"(looked in {_PACKAGE} and beside it): reinstall it with pip"
    )


def data_root() -> Path:
    """The folder that the relative paths of tasks and recipes start from, absolute."""
    return Path(os.environ.get(DATA_SETTING) or "data").absolute()


def located(path: str | Path) -> Path:
    """`path` as it is, or the file of ours that `recipe:<folder>/<file>` names.

    Raises:
        FileNotFoundError: our recipes hold no such file.
    """
    text = str(path)
    if not text.startswith(RECIPE_SCHEME):
        return Path(path)
    root = resource_dir("recipes").resolve()
    found = (root / text.removeprefix(RECIPE_SCHEME)).resolve()
    if not found.is_relative_to(root) or not found.is_file():
        names = sorted(str(file.relative_to(root)) for file in root.glob("*/*.yaml"))
        raise FileNotFoundError(f"{text} is no file of the recipes; there are: {', '.join(names)}")
    return found
