"""Position ids of Qwen2.5-VL, where time is told to the model as a rotary position.

One definition for SFT, rollout, log-prob and evaluation. It is the rule of the Qwen2.5-VL report
(M-RoPE aligned to absolute time) as Qwen's own code and vLLM compute it: temporal position =
floor(grid index * seconds per grid * tokens per second), and the text after a video continues at
the greatest position of the video plus one.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

import torch


def mrope_positions(
    token_types: Sequence[int],
    image_grids: Iterable[Sequence[int]],
    video_grids: Iterable[Sequence[int]],
    seconds_per_grid: Iterable[float],
    *,
    tokens_per_second: float,
    merge_size: int,
) -> torch.Tensor:
    """Three-row position ids of one unpadded sequence.

    Args:
        token_types: per token 0 text, 1 image placeholder, 2 video placeholder; length L.
        image_grids: (t, h, w) patches of each image, in order.
        video_grids: (t, h, w) patches of each video, in order.
        seconds_per_grid: seconds between two temporal grid steps of each video, in order.
        tokens_per_second: positions per second of the model's vision config.
        merge_size: patches merged along each side (`spatial_merge_size`).

    Returns:
        int64 [3, L]: temporal, height and width positions.

    Raises:
        ValueError: placeholders and grids do not agree.
    """
    images, videos, seconds = iter(image_grids), iter(video_grids), iter(seconds_per_grid)
    parts: list[torch.Tensor] = []
    next_position = 0
    for kind, group in groupby(token_types):
        length = len(list(group))
        if kind == 0:
            part = torch.arange(length).expand(3, -1)
        else:
            grid = next(images if kind == 1 else videos, None)
            if grid is None:
                raise ValueError(f"more {'image' if kind == 1 else 'video'} runs than grids")
            interval = 1.0 if kind == 1 else float(next(seconds)) * tokens_per_second
            part = _grid_positions(grid, interval, merge_size)
            if part.shape[1] != length:
                raise ValueError(
                    f"a run of {length} placeholders meets a grid {tuple(map(int, grid))} "
                    f"of {part.shape[1]} tokens"
                )
        parts.append(part + next_position)
        next_position = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


def _grid_positions(grid: Sequence[int], interval: float, merge_size: int) -> torch.Tensor:
    """int64 [3, t * h * w] of one grid, in units of positions, starting at 0."""
    t, h, w = int(grid[0]), int(grid[1]) // merge_size, int(grid[2]) // merge_size
    # float64 product first, truncation last: truncating the seconds would lose every fraction
    time = (torch.arange(t, dtype=torch.float64) * interval).long()
    return torch.stack(
        [
            time.view(t, 1, 1).expand(t, h, w).flatten(),
            torch.arange(h).view(1, h, 1).expand(t, h, w).flatten(),
            torch.arange(w).view(1, 1, w).expand(t, h, w).flatten(),
        ]
    )
