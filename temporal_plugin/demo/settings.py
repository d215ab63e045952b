"""Every choice the demo makes, in one place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
ROLLOUTS = ("transformers", "vllm")
#: edge in pixels of one patch of the vision tower; two patches a side become one token
PATCH_SIZES = {"qwen2_5_vl": 14, "qwen3_vl": 16}


@dataclasses.dataclass(frozen=True)
class ClipSettings:
    """What is written by the step `clips`.

    Attributes:
        train, validation, test: number of clips in each split.
        duration_seconds: length of every clip.
        frames_per_second: frame rate of the files.
        edge_pixels: width and height of the files; a multiple of 64, because at other sizes the
            encoder's padding makes the bytes differ from run to run.

    Raises:
        ValueError: edge_pixels is no positive multiple of 64.
    """

    train: int = 600
    validation: int = 60
    test: int = 100
    duration_seconds: float = 8.0
    frames_per_second: int = 8
    edge_pixels: int = 128

    def __post_init__(self) -> None:
        if self.edge_pixels < 64 or self.edge_pixels % 64:
            raise ValueError(f"edge_pixels is {self.edge_pixels}; use a multiple of 64")


@dataclasses.dataclass(frozen=True)
class ColdStartSettings:
    """What the cold start shows and how long it lasts.

    Its labels are as imprecise as cheap ones are: in `late_share` of the rows the span is marked
    `late_seconds` late, as a person's reaction time does. So it teaches the task and the form of
    the answer, and leaves to GRPO, whose reward knows the true spans, what imitation cannot teach.
    """

    batches: int = 300
    late_share: float = 0.7
    late_seconds: float = 1.5
    evaluate_every: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_batches: int = 20
    weight_decay: float = 0.01


@dataclasses.dataclass(frozen=True)
class GrpoSettings:
    """The GRPO run; everything else is in the recipe `tiny_cpu`.

    Attributes:
        evaluate_every: steps between two validations, each with a checkpoint.
        overrides: further hydra overrides for `verl.trainer.main_ppo`.
    """

    steps: int = 30
    prompts_per_step: int = 16
    rollouts_per_prompt: int = 8
    learning_rate: float = 3e-4
    evaluate_every: int = 10
    overrides: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """Settings of one run of the demo.

    Attributes:
        out: folder of everything that is written.
        threads: CPU threads of each process.

    Raises:
        ValueError: an unknown model family or rollout.
    """

    out: Path = Path("demo_output")
    seed: int = 0
    family: str = "qwen2_5_vl"
    rollout: str = "transformers"
    threads: int = 2
    prompt: str = "answer"
    clips: ClipSettings = ClipSettings()
    cold_start: ColdStartSettings = ColdStartSettings()
    grpo: GrpoSettings = GrpoSettings()

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"model family {self.family!r} is unknown; use one of {FAMILIES}")
        if self.rollout not in ROLLOUTS:
            raise ValueError(f"rollout {self.rollout!r} is unknown; use one of {ROLLOUTS}")
        object.__setattr__(self, "out", Path(self.out).resolve())

    @property
    def patch_size(self) -> int:
        """Edge in pixels of one vision patch."""
        return PATCH_SIZES[self.family]

    @property
    def frame_edge_pixels(self) -> int:
        """Edge of a frame as the model sees it: four patches, so four tokens per frame pair."""
        return 4 * self.patch_size

    def sampling(self) -> dict[str, Any]:
        """Keyword arguments of `video.sampling.Sampling`: 2 fps, 16 frames, one fixed size."""
        pixels = self.frame_edge_pixels**2
        # a quarter of room, or rounding in the size rule could take off a whole row of tokens
        return {
            "fps": 2.0,
            "min_frames": 4,
            "max_frames": 16,
            "min_pixels": pixels,
            "max_pixels": pixels * 5 // 4,
        }

    @property
    def clips_dir(self) -> Path:
        """Folder of the clips and of `train|validation|test.jsonl`."""
        return self.out / "demo"

    @property
    def model_dir(self) -> Path:
        """Folder of the randomly initialised model."""
        return self.out / "model"

    @property
    def cold_start_dir(self) -> Path:
        """Folder of the model after the cold start."""
        return self.out / "cold_start"

    @property
    def train_dir(self) -> Path:
        """Folder of the GRPO run: metrics and checkpoints."""
        return self.out / "train"

    @property
    def report_dir(self) -> Path:
        """Folder of the table and the picture."""
        return self.out / "report"

    def as_json(self) -> str:
        """All settings that decide the results, as one JSON text."""
        values = dataclasses.asdict(self)
        for name in ("out", "threads"):
            del values[name]
        return json.dumps(values, sort_keys=True)
