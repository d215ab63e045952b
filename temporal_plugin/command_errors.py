"""How every command ends when something is wrong that the user can mend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer


def fail(text: str, *, as_json: bool = False) -> NoReturn:
    """Print one line on standard error, or `{"ok": false, "error"}` for a program; exit with 1."""
    if as_json:
        typer.echo(json.dumps({"ok": False, "error": text}))
    else:
        from rich.console import Console

        Console(stderr=True).print(f"error: {text}", markup=False, soft_wrap=True)
    raise typer.Exit(1) from None


@contextmanager
def errors(as_json: bool = False) -> Iterator[None]:
    """What the user can mend (ValueError, OSError, ImportError) is one line, not a traceback."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        fail(str(error), as_json=as_json)
