"""Prompt templates, each beside the output contract that it asks the model to keep.

A template is a YAML file, so that a published checkpoint can be run with its authors' words.
Templates shipped here are listed by `shipped()`; any other is given by its path. `@video_first`
or `@text_first` behind either puts the video before or after the text: `think_answer@text_first`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from temporal_plugin.answers import contract_named, option_words
from temporal_plugin.answers.choices import LETTERS

FOLDER = Path(__file__).parent.parent / "prompt_templates"
FIELDS = ("query", "duration", "options")
SUFFIXES = (".yaml", ".yml", ".yaml.inc")  # the last where a host takes any .yaml for its own
POSITIONS = ("first", "last")
VARIANTS = {"video_first": "first", "text_first": "last"}
_FIELD = re.compile(r"\{([a-z_]+)\}")
_KEYS = ("name", "system", "user", "video_position", "contract")


class Asked(Protocol):
    """What a template can speak of."""

    @property
    def id(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def duration(self) -> float | None: ...
    @property
    def options(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """One template.

    Attributes:
        name: how it is called in reports.
        system: the system message, or None; may hold fields.
        user: the text of the user message, with the fields `{query}`, `{duration}` (seconds)
            and `{options}` (one lettered line each). Other braces stand for themselves.
        video_position: whether the video comes "first" or "last" in the user message.
        contract: the key of `answers.CONTRACTS` that the text asks for.

    Raises:
        ValueError: a value is not one of those.
    """

    name: str
    system: str | None
    user: str
    video_position: str = "first"
    contract: str = "free"

    def __post_init__(self) -> None:
        contract_named(self.contract)
        if self.video_position not in POSITIONS:
            raise ValueError(
                f"prompt {self.name!r}: video_position is {self.video_position!r}; "
                f"use one of: {', '.join(POSITIONS)}."
            )
        for text in (self.user, self.system or ""):
            unknown = sorted(set(_FIELD.findall(text)) - set(FIELDS))
            if unknown:
                raise ValueError(
                    f"prompt {self.name!r}: field {{{unknown[0]}}} is unknown; "
                    f"use some of: {', '.join(f'{{{field}}}' for field in FIELDS)}."
                )

    @property
    def fingerprint(self) -> str:
        """16 hex digits that are equal for two prompts exactly when a model sees the same words.

        The name has no part in it, so that a copied or renamed file counts as the same prompt.
        """
        seen = [self.system or None, self.user, self.video_position, self.contract]
        text = json.dumps(seen, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def messages(self, sample: Asked) -> list[dict[str, Any]]:
        """The chat messages for `sample`; the host puts its video into the video entry.

        Raises:
            ValueError: the template speaks of something that the sample lacks.
        """
        video = {"type": "video"}
        text = {"type": "text", "text": self._filled(self.user, sample)}
        content = [video, text] if self.video_position == "first" else [text, video]
        messages: list[dict[str, Any]] = []
        if self.system:
            messages.append({"role": "system", "content": self._filled(self.system, sample)})
        messages.append({"role": "user", "content": content})
        return messages

    def _filled(self, template: str, sample: Asked) -> str:
        """One pass over the template only: braces in a query are left alone."""
        return _FIELD.sub(lambda match: self._field(match[1], sample), template)

    def _field(self, name: str, sample: Asked) -> str:
        if name == "query":
            return sample.query
        if name == "duration":
            if sample.duration is None:
                raise self._lacks("duration", sample)
            return f"{sample.duration:.2f}"
        if not sample.options:
            raise self._lacks("options", sample)
        return option_lines(sample.options)

    def _lacks(self, field: str, sample: Asked) -> ValueError:
        return ValueError(
            f"prompt {self.name!r} speaks of {{{field}}}, but sample {sample.id!r} has none; "
            "add it to the sample or use a template without it."
        )


def option_lines(options: Sequence[str]) -> str:
    """The options as "(A) words", a line each; a letter they already carry is not repeated."""
    return "\n".join(
        f"({LETTERS[i]}) {option_words(option, i)}" for i, option in enumerate(options)
    )


def shipped() -> list[str]:
    """The names of the templates that come with this package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name_or_path: str | Path) -> Prompt:
    """The shipped template of that name, or the one in the YAML file at that path.

    Either may end in `@video_first` or `@text_first`, which overrules the file's video_position.

    Raises:
        ValueError: there is none, or the file is no valid template.
    """
    name, mark, variant = str(name_or_path).rpartition("@")
    if mark and variant in VARIANTS:
        prompt = load(name)
        position = VARIANTS[variant]
        return replace(prompt, name=f"{prompt.name}@{variant}", video_position=position)
    path = Path(name_or_path)
    if not path.name.endswith(SUFFIXES):
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        raise ValueError(
            f"prompt {str(name_or_path)!r} is not found; use one of: {', '.join(shipped())}, "
            "or the path of a .yaml file; either may be followed by "
            f"{' or '.join('@' + name for name in VARIANTS)}."
        )
    fields = _read(path)
    unknown = sorted(set(fields) - set(_KEYS))
    if unknown or not isinstance(fields.get("user"), str):
        what = f"key {unknown[0]!r} is unknown" if unknown else "the key 'user' must hold a text"
        raise ValueError(f"prompt file {path}: {what}; the keys are {', '.join(_KEYS)}.")
    return Prompt(**{"name": path.stem, "system": None, **fields})


def _read(path: Path) -> dict[str, Any]:
    import yaml  # only here: reward workers import this package without it

    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"prompt file {path} is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"prompt file {path} must hold a mapping with {', '.join(_KEYS)}.")
    return fields
