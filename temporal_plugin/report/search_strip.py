"""The picture of one search: the frames that were found, above the relevance of all frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from temporal_plugin.report.canvas import BLUE, DOTS_PER_INCH, GREY, new_figure

FORMATS = (".png", ".svg", ".pdf")
WIDTH_INCHES, ROW_INCHES = 12.0, 1.5
COLUMNS = 8  # frames in one row


def check_format(path: Path) -> None:
    """Refuse a file name before the work is done.

    Raises:
        ValueError: its ending is not one of `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"--plot {path}: the ending must be one of {', '.join(FORMATS)}")


def draw(
    path: Path,
    query: str,
    pictures: np.ndarray,
    seconds: np.ndarray,
    all_seconds: np.ndarray | None = None,
    relevance: np.ndarray | None = None,
) -> None:
    """Writes the picture.

    Args:
        path: png, svg or pdf.
        query: the title.
        pictures: uint8 [T, H, W, 3], the frames found.
        seconds: float64 [T], their times.
        all_seconds: float64 [N], the times of all frames; None leaves the curve out.
        relevance: float64 [N] in [0, 1], of each.

    Raises:
        ValueError: the file's ending is not one of `FORMATS`.
        ImportError: matplotlib is missing.
    """
    check_format(path)
    rows = -(-len(pictures) // COLUMNS)
    curve = 1 if relevance is not None else 0
    figure = new_figure(WIDTH_INCHES, ROW_INCHES * (rows + curve) + 0.4)
    grid = figure.add_gridspec(rows + curve, min(COLUMNS, len(pictures)))
    figure.suptitle(query[:120], parse_math=False)
    for number, (picture, second) in enumerate(zip(pictures, seconds, strict=True)):
        axes = figure.add_subplot(grid[number // COLUMNS, number % COLUMNS])
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title(f"{second:.1f} s", fontsize=9)
    if relevance is not None:
        axes = figure.add_subplot(grid[rows, :])
        axes.plot(all_seconds, relevance, color=GREY, linewidth=0.8)
        found = np.searchsorted(all_seconds, seconds)
        axes.plot(seconds, relevance[found], "o", color=BLUE, markersize=5)
        axes.set_xlabel("seconds")
        axes.set_ylabel("relevance")
        axes.set_ylim(-0.05, 1.1)
        axes.margins(x=0.01)
    figure.savefig(path, dpi=DOTS_PER_INCH)
