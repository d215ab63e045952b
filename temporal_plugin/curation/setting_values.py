"""Checks that the settings of curation share: an error names the setting and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def from_mapping(cls: type[Settings], where: str, values: Mapping[str, Any]) -> Settings:
    """A dataclass of settings from YAML.

    Args:
        cls: the dataclass, which checks its own values.
        where: what an error calls it, such as "curriculum".
        values: setting -> value.

    Raises:
        ValueError: an unknown key.
    """
    allowed = [item.name for item in fields(cls)]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise ValueError(f"{where} has unknown keys {unknown}; allowed: {allowed}")
    return cls(**values)


def check_number(name: str, value: Any, allowed: str, test: Callable[[Any], bool]) -> None:
    """Raises ValueError unless the value is a number (no boolean) that passes the test."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not test(value):
        raise ValueError(f"{name} is {value!r}; allowed: {allowed}")


def is_count(value: Any) -> bool:
    """Whether the value is a whole number, 1 or more."""
    return isinstance(value, int) and value >= 1
