"""Runs a function right after a host's module is imported.

verl loads its plugins in every process before its own modules exist. Importing those modules from
the plugin would cost seconds in each reward worker and could run into import cycles; this waits.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

_waiting: dict[str, list[Callable[[ModuleType], None]]] = {}


def when_imported(name: str, callback: Callable[[ModuleType], None]) -> None:
    """Call `callback(module)` once module `name` is imported, at once if it already is."""
    if name in sys.modules:
        callback(sys.modules[name])
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _waiting.setdefault(name, []).append(callback)


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the loader of awaited modules; looking a module up without importing it is harmless."""

    def __init__(self):
        self._looking_up: set[str] = set()

    def find_spec(self, name, path=None, target=None):
        if name not in _waiting or name in self._looking_up:
            return None
        self._looking_up.add(name)  # so that the other finders answer the inner call
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking_up.discard(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for callback in _waiting.pop(name, []):
                callback(module)

        spec.loader.exec_module = exec_module
        return spec
