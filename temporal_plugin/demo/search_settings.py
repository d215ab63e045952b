"""Every choice of the search demo, in one place."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from temporal_plugin.demo.settings import FAMILIES, PATCH_SIZES


@dataclasses.dataclass(frozen=True)
class SearchClipSettings:
    """The minute-long clips.

    Attributes:
        train, validation, test: number of clips in each split; each has a question per event.
        least_seconds, most_seconds: bounds of a clip's length.
        event_seconds: how long an event may be visible; one of these is drawn for each.
        events: events in a clip, each of another colour.
        frames_per_second: frame rate of the files.
        edge_pixels: width and height of the files.
    """

    train: int = 200
    validation: int = 16
    test: int = 64
    least_seconds: int = 60
    most_seconds: int = 90
    event_seconds: tuple[float, ...] = (1.0, 1.5, 2.0)
    events: int = 3
    frames_per_second: int = 4
    edge_pixels: int = 64


@dataclasses.dataclass(frozen=True)
class EncoderSettings:
    """The tiny dual encoder and its training."""

    batches: int = 400
    batch_size: int = 64
    learning_rate: float = 2e-3


@dataclasses.dataclass(frozen=True)
class SearchColdStartSettings:
    """What the cold start shows and how long it lasts.

    Its traces are poor on purpose: they teach the form of a call and of an answer, and to read a
    shape where it is visible, and leave to GRPO when to search and what for.

    Attributes:
        traces: searches that are written of each question.
        frames_rows: times that it is asked about the frames of a search alone.
        uniform_share: share of the questions that are asked about uniform frames, too.
        search_counts: share of them that call the tool 0, 1 and 2 times before they answer.
        right_colour_share: share of the calls that name the colour asked for; the others name any
            other colour.
    """

    batches: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_batches: int = 20
    weight_decay: float = 0.01
    traces: int = 2
    frames_rows: int = 2
    uniform_share: float = 0.5
    search_counts: tuple[float, ...] = (0.55, 0.35, 0.1)
    right_colour_share: float = 0.4


@dataclasses.dataclass(frozen=True)
class SearchGrpoSettings:
    """The GRPO-CSV run; everything else is in the recipe.

    Attributes:
        overrides: further hydra overrides for `verl.trainer.main_ppo`.
    """

    steps: int = 25
    prompts_per_step: int = 16
    rollouts_per_prompt: int = 8
    learning_rate: float = 3e-4
    overrides: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SearchDemoSettings:
    """Settings of one run.

    Attributes:
        out: folder of everything that is written.
        threads: CPU threads of each process.
        preview_frames: uniform frames that the model sees before it searches.
        turns: turns of the model, the last of which must answer.
        frames_per_call: frames that one call brings at most.
        tokens_per_turn: new tokens of one turn.

    Raises:
        ValueError: an unknown model family.
    """

    out: Path = Path("search_demo")
    seed: int = 0
    family: str = "qwen2_5_vl"
    threads: int = 2
    preview_frames: int = 4
    turns: int = 3
    frames_per_call: int = 2
    tokens_per_turn: int = 16
    clips: SearchClipSettings = SearchClipSettings()
    encoder: EncoderSettings = EncoderSettings()
    cold_start: SearchColdStartSettings = SearchColdStartSettings()
    grpo: SearchGrpoSettings = SearchGrpoSettings()

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"model family {self.family!r} is unknown; use one of {FAMILIES}")
        object.__setattr__(self, "out", Path(self.out).resolve())

    @property
    def patch_size(self) -> int:
        """Edge in pixels of one vision patch."""
        return PATCH_SIZES[self.family]

    @property
    def uniform_frames(self) -> int:
        """As many frames as a search can have seen when it must answer."""
        return self.preview_frames + (self.turns - 1) * self.frames_per_call

    def size(self) -> dict[str, int]:
        """Limits of `Sampling` that make every frame four patches a side: four tokens."""
        pixels = (4 * self.patch_size) ** 2
        # a quarter of room, or rounding in the size rule could take off a whole row of tokens
        return {"min_pixels": pixels, "max_pixels": pixels * 5 // 4}

    def sampling(self) -> dict[str, Any]:
        """Keyword arguments of `Sampling` for the preview: a few uniform frames."""
        count = self.preview_frames
        return {"fps": 2.0, "min_frames": count, "max_frames": count, **self.size()}

    def frame_search(self) -> dict[str, Any]:
        """The settings of the frame search, see `search.settings`."""
        return {
            "encoder": str(self.encoder_dir),
            "store": str(self.store_dir),
            "fps": 2.0,
            "sampling": self.size(),
            "patch_size": self.patch_size,
        }

    @property
    def clips_dir(self) -> Path:
        """Folder of the clips and of `train|validation|test.jsonl`."""
        return self.out / "search_demo"

    @property
    def encoder_dir(self) -> Path:
        """Folder of the dual encoder."""
        return self.out / "encoder"

    @property
    def model_dir(self) -> Path:
        """Folder of the randomly initialised model."""
        return self.out / "search_model"

    @property
    def cold_start_dir(self) -> Path:
        """Folder of the model after the cold start."""
        return self.out / "search_cold_start"

    @property
    def train_dir(self) -> Path:
        """Folder of the GRPO-CSV run: metrics and checkpoints."""
        return self.out / "search_train"

    @property
    def store_dir(self) -> Path:
        """Folder of the frames' embeddings."""
        return self.out / "frame_store"
