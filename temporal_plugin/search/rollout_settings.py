"""How a search is rolled out: `data.temporal.search` of a training run, checked once.

search:
  frames: {encoder: google/siglip-so400m-patch14-384, store: FOLDER}   # see search.settings
  limits: {turns: 8, frames_per_call: 8, tokens_per_turn: 256, retries: 1}
  verify: {tokens: 256}       # null: no second answer, and no completeness reward
  seek_seconds: 300
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from temporal_plugin import prompts
from temporal_plugin.search.conversation import VERIFY_PROMPTS, Limits


@dataclass(frozen=True)
class Verify:
    """The second answer, from the searched frames alone.

    Attributes:
        tokens: most new tokens of it.
        prompts: template by task; their video entry stands for the frames.

    Raises:
        ValueError: `tokens` is no whole number of 1 or more, or a template is unknown.
    """

    tokens: int = 256
    prompts: Mapping[str, str] = field(default_factory=lambda: dict(VERIFY_PROMPTS))

    def __post_init__(self) -> None:
        if isinstance(self.tokens, bool) or not isinstance(self.tokens, int) or self.tokens < 1:
            raise ValueError(f"search.verify.tokens is {self.tokens!r}; it must be 1 or more")
        for name in self.prompts.values():
            prompts.load(name)

    def prompt_for(self, task: str) -> prompts.Prompt:
        """The template of a task.

        Raises:
            ValueError: there is none.
        """
        if task not in self.prompts:
            known = ", ".join(self.prompts)
            raise ValueError(
                f"search.verify.prompts has no template for the task {task!r}, only for {known}; "
                "add one"
            )
        return prompts.load(self.prompts[task])


@dataclass(frozen=True)
class RolloutSettings:
    """What `data.temporal.search` holds.

    Attributes:
        frames: the settings of the frame search.
        limits: of the conversation; its `tokens` are set by the host's response length.
        verify: of the second answer, None for none.
        seek_seconds: how long a call may take; then it counts as failed for no fault of the model.

    Raises:
        ValueError: a value is out of range.
    """

    frames: Mapping[str, Any]
    limits: Limits = field(default_factory=Limits)
    verify: Verify | None = field(default_factory=Verify)
    seek_seconds: float = 600.0

    def __post_init__(self) -> None:
        if not isinstance(self.seek_seconds, (int, float)) or not self.seek_seconds > 0:
            raise ValueError(
                f"search.seek_seconds is {self.seek_seconds!r}; it must be a number above 0"
            )

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], *, tokens: int) -> RolloutSettings:
        """From YAML; equal settings are read once.

        Args:
            given: the mapping, plain (no config object).
            tokens: of everything after the prompt.

        Raises:
            ValueError: an unknown key (the message lists those allowed) or a wrong value.
        """
        return _read(json.dumps(given, sort_keys=True), tokens)


@lru_cache(maxsize=16)
def _read(text: str, tokens: int) -> RolloutSettings:
    given = json.loads(text)
    allowed = [entry.name for entry in fields(RolloutSettings)]
    _known("search", given, allowed)
    if not given.get("frames"):
        raise ValueError(
            "search.frames is not set; it names the encoder and the store of the frame search, "
            "such as {encoder: google/siglip-so400m-patch14-384, store: FOLDER}"
        )
    limits = given.get("limits") or {}
    _known("search.limits", limits, [f.name for f in fields(Limits) if f.name != "tokens"])
    values = {**given, "limits": Limits.from_mapping({**limits, "tokens": tokens})}
    verify = given.get("verify", {})
    if verify is not None:
        _known("search.verify", verify, [entry.name for entry in fields(Verify)])
        own = {**verify, "prompts": {**VERIFY_PROMPTS, **(verify.get("prompts") or {})}}
        values["verify"] = Verify(**own)
    return RolloutSettings(**values)


def _known(where: str, given: object, allowed: list[str]) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} is {given!r}; it must be a mapping")
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ValueError(f"unknown setting {where}.{unknown[0]}; allowed: {', '.join(allowed)}")
