"""The picture of a selection: difficulty, spread and sources, and strips of partial samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from temporal_plugin.report.canvas import (
    BLACK,
    BLUE,
    DOTS_PER_INCH,
    GREY,
    ORANGE,
    RED,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, TOP_INCHES, STRIP_INCHES = 11.0, 3.2, 1.5
MOST_SOURCES = 12
MOST_TICKS = 12
TITLES = {"difficulty": "difficulty (1 - mean IoU)", "spread": "spread of the answers' IoU"}
FATES = (("selected", "selected", BLUE), ("partial", "partial, dropped", RED),
         ("other", "not chosen", "#cccccc"))  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Measured samples before and after a selection.

    Attributes:
        histograms: "difficulty" and "spread" -> (edges [B + 1], counts before, counts after).
        sources: source -> {"selected", "partial", "other"} -> number of samples.
    """

    histograms: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    sources: Mapping[str, Mapping[str, int]]

    def to_dict(self, name: str) -> dict[str, Any]:
        """The JSON form of one histogram."""
        edges, before, after = self.histograms[name]
        return {
            "edges": [round(float(edge), 6) for edge in edges],
            "before": before.tolist(),
            "after": after.tolist(),
        }


@dataclass(frozen=True)
class Example:
    """One partial sample.

    Attributes:
        frames: uint8 [T, H, W, 3] RGB, evenly spaced over the video.
        span: the annotated spans, [start, end] in seconds.
        outside: what answers found outside of them, and `votes` of the `answers` for each.
    """

    id: str
    query: str
    duration_seconds: float
    frames: np.ndarray
    span: Sequence[Sequence[float]]
    outside: Sequence[Sequence[float]]
    votes: Sequence[int]
    answers: int


def draw(path: Path, counts: Counts, examples: Sequence[Example]) -> None:
    """Writes the picture as PNG."""
    strips = STRIP_INCHES * len(examples) + (0.5 if examples else 0.0)
    figure = new_figure(WIDTH_INCHES, TOP_INCHES + strips)
    parts = figure.subfigures(2, 1, height_ratios=[TOP_INCHES, strips]) if examples else [figure]
    left, middle, right = parts[0].subplots(1, 3)
    _draw_histogram(left, counts, "difficulty")
    _draw_histogram(middle, counts, "spread")
    _draw_sources(right, counts.sources)
    if examples:
        parts[1].suptitle("partial: the event was found outside of the annotation", fontsize=11)
        axes = parts[1].subplots(len(examples), 1, squeeze=False)[:, 0]
        for axis, example in zip(axes, examples, strict=True):
            _draw_strip(axis, example)
        axes[-1].set_xlabel("seconds", fontsize=9)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _draw_histogram(axis: Axes, counts: Counts, name: str) -> None:
    edges, before, after = counts.histograms[name]
    total, kept = int(before.sum()), int(after.sum())
    axis.stairs(before, edges, fill=True, color="#cccccc", label=f"measured ({total})")
    axis.stairs(after, edges, fill=True, color=BLUE, alpha=0.85, label=f"selected ({kept})")
    axis.set(title=TITLES[name], xlim=(edges[0], edges[-1]), ylabel="samples")
    axis.set_ylim(0, max(1, int(before.max())) * 1.3)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.title.set_fontsize(10)
    axis.legend(loc="upper center", ncols=2, fontsize=8, frameon=False)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _draw_sources(axis: Axes, sources: Mapping[str, Mapping[str, int]]) -> None:
    largest = sorted(sources, key=lambda name: (-sum(sources[name].values()), name))
    shown = largest[:MOST_SOURCES]
    rows = [(name, dict(sources[name])) for name in shown]
    if len(largest) > len(shown):
        rest = [sources[name] for name in largest[MOST_SOURCES:]]
        others = {fate: sum(row[fate] for row in rest) for fate, _, _ in FATES}
        rows.append((f"{len(rest)} more", others))
    places = np.arange(len(rows))[::-1]
    left = np.zeros(len(rows))
    for fate, label, colour in FATES:
        widths = np.array([row[fate] for _, row in rows], dtype=float)
        if widths.any():
            axis.barh(places, widths, 0.7, left=left, color=colour, label=label)
        left += widths
    for place, (_, row), end in zip(places, rows, left, strict=True):
        axis.text(end, place, f" {row['selected']} of {int(end)}", va="center", fontsize=8)
    axis.set_yticks(places, [_short(name, 24) for name, _ in rows], fontsize=8)
    axis.set(title="by source", xlabel="samples", xlim=(0, max(1.0, left.max()) * 1.3))
    axis.set_ylim(-0.6, len(rows) + 0.2)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.title.set_fontsize(10)
    axis.legend(loc="upper center", ncols=3, fontsize=7, frameon=False, handlelength=1.0,
                columnspacing=1.0)  # fmt: skip
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _draw_strip(axis: Axes, example: Example) -> None:
    """Frames over a time line with the annotated spans and what was found."""
    duration = example.duration_seconds
    step = duration / len(example.frames)
    gap = 0.02 * step
    for number, frame in enumerate(example.frames):
        extent = (number * step + gap, (number + 1) * step - gap, 0.0, 1.0)
        axis.imshow(frame, extent=extent, aspect="auto", interpolation="bilinear")
    lines = ((-0.22, "annotated", BLACK, example.span), (-0.56, "found", ORANGE, example.outside))
    for place, _, colour, pairs in lines:
        axis.hlines(place, 0, duration, color="#e5e5e5", linewidth=1.0, zorder=0)
        for start, end in pairs:
            width = max(end - start, 0.004 * duration)  # a moment is to be seen too
            axis.barh(place, width, 0.24, left=start, color=colour)
    for (start, end), votes in zip(example.outside, example.votes, strict=True):
        middle = (start + end) / 2
        label = f"{votes} of {example.answers}"
        axis.text(middle, -0.56, label, ha="center", va="center", fontsize=6.5, color=BLACK)
    axis.set(xlim=(0, duration), ylim=(-0.76, 1.0))
    axis.set_yticks([place for place, *_ in lines], [name for _, name, *_ in lines], fontsize=8)
    axis.set_title(f"“{_short(example.query, 90)}”", fontsize=9, loc="left", pad=3,
                   parse_math=False)  # fmt: skip
    axis.text(1.0, 1.03, _short(example.id, 50), transform=axis.transAxes, ha="right", fontsize=7,
              color=GREY, parse_math=False)  # fmt: skip
    axis.locator_params(axis="x", nbins=MOST_TICKS)
    axis.tick_params(axis="both", length=0)
    axis.tick_params(axis="x", labelsize=7)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
