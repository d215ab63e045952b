"""What one path (rollout, log-prob, SFT, evaluation) shows the model, and where two paths differ.

A small record that goes through JSON, so that each host can be asked in a process of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from temporal_plugin.video.timing import CLOCK_HZ, seconds_per_step, step_seconds

#: what both Qwen3-VL processors write before each grid step
TIMESTAMP = re.compile(r"<(\d+\.\d) seconds>$")
TIMESTAMP_TOKENS = 24  # more than the longest timestamp has


@dataclass(frozen=True)
class ModelFamily:
    """What is needed of a model's config to read its inputs.

    Attributes:
        video_token_id: the placeholder whose place a video's embeddings take.
        vision_start_token_id: the token before each run of placeholders.
        merge_size: patches merged along each side of a frame.
        tokens_per_second: temporal positions per second (Qwen2.5-VL), None where the family is
            told the time in words (Qwen3-VL).
    """

    video_token_id: int
    vision_start_token_id: int
    merge_size: int
    tokens_per_second: float | None

    @classmethod
    def of(cls, config) -> ModelFamily:
        """Read a transformers config of Qwen2.5-VL or Qwen3-VL."""
        vision = config.vision_config
        return cls(
            config.video_token_id,
            config.vision_start_token_id,
            vision.spatial_merge_size,
            getattr(vision, "tokens_per_second", None),
        )

    def steps(self, grids: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, int]]:
        """(video, first token among all video tokens, patches) of each grid step, in order."""
        token = 0
        for video, (t, h, w) in enumerate(grids):
            for _ in range(t):
                yield video, token, h * w
                token += h * w // self.merge_size**2


@dataclass(frozen=True)
class ModelView:
    """What the model gets of one prompt.

    Attributes:
        token_ids: the prompt, placeholders expanded, unpadded; length L.
        grids: (t, h, w) patches of each video.
        pixels: a digest per grid step of its normalised float32 patches; as many as there are t.
        seconds_per_step: the number each Qwen2.5-VL video comes with; empty for Qwen3-VL.
        step_seconds: the time of each grid step as the model hears it: the timestamp written
            before it, or its temporal position in seconds from the video's first step. None where
            there should be a timestamp and is none.
        positions: temporal, height and width position of each token, 3 rows of length L.
        next_position: the position that the answer's first token gets.
    """

    token_ids: tuple[int, ...]
    grids: tuple[tuple[int, ...], ...]
    pixels: tuple[str, ...]
    seconds_per_step: tuple[float, ...]
    step_seconds: tuple[float | None, ...]
    positions: tuple[tuple[int, ...], ...]
    next_position: int

    def to_dict(self) -> dict:
        """JSON-able; `from_dict` restores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> ModelView:
        return cls(**{name: _tuples(value) for name, value in values.items()})


def view_of(
    family: ModelFamily,
    decode: Callable[[list[int]], str],
    *,
    token_ids: Sequence[int],
    pixels: torch.Tensor,
    grids: torch.Tensor,
    seconds: torch.Tensor | None,
    positions: torch.Tensor,
    next_position: int,
) -> ModelView:
    """Build the record from what a host hands the model.

    Args:
        family: see `ModelFamily`.
        decode: token ids to text, special tokens kept.
        token_ids: the prompt, unpadded [L].
        pixels: float32 [patches of all videos, patch size].
        grids: int [videos, 3].
        seconds: float [videos] seconds per step, or None.
        positions: int [3, L].
        next_position: position of the token after the prompt.

    Raises:
        ValueError: pixels that do not fill the grids or are not normalised, or not three
            rows of positions: some code of the hosts gives Qwen3-VL a single one.
    """
    if len(positions) != 3:
        raise ValueError(
            f"positions of {len(positions)} row(s); needed: temporal, height and width"
        )
    ids = [int(token) for token in token_ids]
    sizes = [tuple(int(edge) for edge in grid) for grid in grids.reshape(-1, 3).tolist()]
    rows = tuple(tuple(row) for row in positions.long().tolist())
    return ModelView(
        token_ids=tuple(ids),
        grids=tuple(sizes),
        pixels=_digests(pixels, [patches for _, _, patches in family.steps(sizes)]),
        seconds_per_step=()
        if seconds is None
        else tuple(torch.as_tensor(seconds).view(-1).tolist()),
        step_seconds=tuple(_heard(family, decode, ids, sizes, rows[0])),
        positions=rows,
        next_position=int(next_position),
    )


def true_step_seconds(pts_seconds: np.ndarray, tokens_per_second: float | None) -> list[float]:
    """`ModelView.step_seconds` of a path that tells the truth about one video.

    Args:
        pts_seconds: float64 [T], presentation times of its frames.
        tokens_per_second: as in `ModelFamily`.
    """
    if tokens_per_second is None:
        # on the clock first: the decoder's last bit would decide about 1.45 seconds
        times = np.rint(pts_seconds * CLOCK_HZ) / CLOCK_HZ
        return [float(f"{seconds:.1f}") for seconds in step_seconds(times)]
    # hosts keep the seconds per step as float32
    interval = float(np.float32(seconds_per_step(pts_seconds))) * tokens_per_second
    steps = -(-len(pts_seconds) // 2)
    return [int(step * interval) / tokens_per_second for step in range(steps)]


@dataclass(frozen=True)
class Difference:
    """The first thing that two views disagree on; `field` is an attribute of `ModelView`."""

    field: str
    place: str
    left: object
    right: object

    def __str__(self) -> str:
        place = f" {self.place}" if self.place else ""
        return f"{self.field}{place}: {self.left} and {self.right}"


#: causes before their effects: other times change tokens, other tokens change positions
ORDER = (
    "grids",
    "pixels",
    "seconds_per_step",
    "step_seconds",
    "token_ids",
    "positions",
    "next_position",
)


def first_difference(left: ModelView, right: ModelView) -> Difference | None:
    """The first difference in the order of `ORDER`, None where both are equal bit for bit."""
    for name in ORDER:
        a, b = getattr(left, name), getattr(right, name)
        if a == b:
            continue
        if name == "next_position":
            return Difference(name, "", a, b)
        if name == "positions":
            axis = next(i for i in range(3) if a[i] != b[i])
            found = _first(name, "token", a[axis], b[axis])
            axis_name = ("temporal", "height", "width")[axis]
            return Difference(name, f"({axis_name}) {found.place}", found.left, found.right)
        unit = {"grids": "video", "seconds_per_step": "video", "token_ids": "token"}
        return _first(name, unit.get(name, "step"), a, b)
    return None


def _first(name: str, unit: str, left: Sequence, right: Sequence) -> Difference:
    pairs = zip(left, right, strict=False)
    index = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if index is None:
        return Difference(name, f"count of {unit}s", len(left), len(right))
    return Difference(name, f"at {unit} {index}", left[index], right[index])


def _heard(
    family: ModelFamily,
    decode: Callable[[list[int]], str],
    ids: list[int],
    grids: list[tuple[int, ...]],
    temporal: tuple[int, ...],
) -> Iterator[float | None]:
    places = [i for i, token in enumerate(ids) if token == family.video_token_id]
    starts: dict[int, int] = {}  # video -> temporal position of its first step
    for video, token, _ in family.steps(grids):
        if token >= len(places):  # fewer placeholders than the grid asks for: a broken prompt
            yield None
        elif family.tokens_per_second is not None:
            position = temporal[places[token]]
            starts.setdefault(video, position)
            yield (position - starts[video]) / family.tokens_per_second
        else:
            before = ids[: places[token]]
            if before and before[-1] == family.vision_start_token_id:
                before.pop()
            found = TIMESTAMP.search(decode(before[-TIMESTAMP_TOKENS:]))
            yield float(found[1]) if found else None


def _digests(pixels: torch.Tensor, sizes: list[int]) -> tuple[str, ...]:
    if pixels.dtype != torch.float32:
        raise ValueError(f"pixels are {pixels.dtype}; needed: float32, normalised")
    if len(pixels) != sum(sizes):
        raise ValueError(f"{len(pixels)} patches, but the grids have {sum(sizes)}")
    return tuple(
        hashlib.blake2b(part.contiguous().numpy().tobytes(), digest_size=8).hexdigest()
        for part in pixels.cpu().split(sizes)
    )


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
