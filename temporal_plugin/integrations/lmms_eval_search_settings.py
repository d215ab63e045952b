"""The arguments of the model class `temporal_search`, checked once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from temporal_plugin.search.conversation import Limits
from temporal_plugin.search.settings import SearchSettings
from temporal_plugin.video.sampling import LIMITS, Sampling
from temporal_plugin.video.source import STORE_VARIABLE

SEARCH, UNIFORM = "search", "uniform"
_MODES = {"true": SEARCH, "1": SEARCH, "search": SEARCH, "uniform": UNIFORM}
_YES_NO = {"true": True, "1": True, "false": False, "0": False}

FRAME_PREFIX = "frame_"
_SIZES = [name for limit in LIMITS[:2] for name in (limit, limit.replace("pixels", "tokens"))]
FRAME_SIZES = tuple(FRAME_PREFIX + name for name in _SIZES)


@dataclass(frozen=True)
class LoopSettings:
    """How `temporal_search` asks.

    Attributes:
        search: "true" lets the model search; "uniform" shows it frames at even distances, without
            the tool: the baseline with as many frames.
        encoder: folder or hub name of the dual encoder that searches.
        store: folder of its embeddings; that of the frame store where not given.
        search_fps: frames per second among which is searched.
        method: "dpp", "top_k" or "uniform" (which needs no encoder).
        turns, frames_per_call, tokens_per_turn, tokens, retries: see `Limits`; tokens_per_turn is
            that of the task where not given.
        uniform_frames: how many frames `search=uniform` shows.
        preview: whether `search=uniform` shows the preview before them; a search always does.
        completeness: ask again from the searched frames alone.
        prompt: name or path of a search prompt for every question; by default the task's own
            where it speaks of the tool, else that of the question's kind.
        frame_min_pixels, frame_max_pixels, frame_min_tokens, frame_max_tokens: the size of the
            searched frames, as `Sampling` counts it.

    Raises:
        ValueError: a value outside of what is allowed.
    """

    search: str = SEARCH
    encoder: str | None = None
    store: str | None = None
    search_fps: float = 2.0
    method: str = "dpp"
    turns: int = 8
    frames_per_call: int = 8
    tokens_per_turn: int | None = None
    tokens: int = 16_000
    retries: int = 1
    uniform_frames: int = 8
    preview: bool = True
    completeness: bool = False
    prompt: str | None = None
    frame_min_pixels: int | None = None
    frame_max_pixels: int | None = None
    frame_min_tokens: int | None = None
    frame_max_tokens: int | None = None

    def __post_init__(self) -> None:
        mode = _MODES.get(str(self.search).lower())
        if mode is None:
            raise ValueError(f"search is {self.search!r}; allowed: true, uniform")
        object.__setattr__(self, "search", mode)
        for name in ("preview", "completeness"):
            value = _YES_NO.get(str(getattr(self, name)).lower())
            if value is None:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: true, false")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "search_fps", float(self.search_fps))
        if not 1 <= self.uniform_frames <= 4096:
            raise ValueError(f"uniform_frames is {self.uniform_frames!r}; allowed: 1 to 4096")
        self.limits(1)  # says what is wrong with them
        self.frame_sampling()
        if self.store is None and os.environ.get(STORE_VARIABLE):
            object.__setattr__(self, "store", os.environ[STORE_VARIABLE])

    @classmethod
    def split(cls, arguments: Mapping[str, Any]) -> tuple[LoopSettings, dict[str, Any]]:
        """These settings, and the arguments that are none of them.

        Raises:
            ValueError: as above.
        """
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in arguments.items() if name in names}
        return cls(**own), {name: arguments[name] for name in arguments if name not in names}

    def limits(self, tokens_per_turn: int) -> Limits:
        """The limits of a conversation whose task gives its turns so many tokens."""
        own = self.tokens_per_turn
        return Limits(
            turns=self.turns,
            frames_per_call=self.frames_per_call,
            tokens_per_turn=tokens_per_turn if own is None else own,
            tokens=self.tokens,
            retries=self.retries,
        )

    def frame_sampling(self) -> Sampling:
        """The size of the searched frames."""
        given = {name.removeprefix(FRAME_PREFIX): getattr(self, name) for name in FRAME_SIZES}
        return Sampling(**{name: value for name, value in given.items() if value is not None})

    def frame_search(self, patch_size: int, device: str | None) -> SearchSettings:
        """The settings of the frame search; the baseline's needs no encoder.

        Raises:
            ValueError: a search lacks its encoder or store.
        """
        return SearchSettings(
            encoder=self.encoder,
            store=self.store,
            fps=self.search_fps,
            method=UNIFORM if self.search == UNIFORM else self.method,
            sampling=self.frame_sampling(),
            patch_size=patch_size,
            device=device,
        )

    @property
    def most_images(self) -> int:
        """The most pictures in one prompt."""
        if self.search == UNIFORM:
            return self.uniform_frames
        return self.turns * self.frames_per_call

    def identity(self) -> dict[str, Any]:
        """All that decides an answer, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "store"}
