"""Where the YAML folders `lmms_tasks/` and `recipes/` lie, in a wheel and in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


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
