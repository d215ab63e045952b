"""The demo's picture: reward curve, test scores, and strips of frames with the spans below."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from temporal_plugin.report.canvas import (
    BLACK,
    BLUE,
    DOTS_PER_INCH,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    new_figure,
)
from temporal_plugin.report.comparison import TITLES, Row
from temporal_plugin.spans import Span

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

BARS = (("true span", BLACK), ("after cold start", ORANGE), ("after GRPO", BLUE))
WIDTH_INCHES, TOP_INCHES, STRIP_INCHES = 11.0, 3.0, 1.45


@dataclasses.dataclass(frozen=True)
class Strip:
    """One test question.

    Attributes:
        frames: uint8 [T, H, W, 3] RGB, evenly spaced over the clip.
        spans: the true span, the prediction before and after; None where there is none.
        ious: IoU before and after.
    """

    query: str
    duration_seconds: float
    frames: np.ndarray
    spans: tuple[Span | None, Span | None, Span | None]
    ious: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Curve:
    """Training by step: the reward and its parts, and IoU on validation clips."""

    steps: Sequence[int]
    rewards: Mapping[str, Sequence[float]]
    validation_steps: Sequence[int]
    validation_iou: Sequence[float]


def draw(
    path: Path, title: str, curve: Curve, rows: Sequence[Row], strips: Sequence[Strip]
) -> None:
    """Writes the picture as PNG."""
    height = TOP_INCHES + 0.9 + STRIP_INCHES * len(strips)
    figure = new_figure(WIDTH_INCHES, height)
    figure.suptitle(title, fontsize=13, fontweight="bold")
    top, bottom = figure.subfigures(
        2, 1, height_ratios=[TOP_INCHES, STRIP_INCHES * len(strips) + 0.4], hspace=0.02
    )
    left, right = top.subplots(1, 2, width_ratios=[3, 2])
    _draw_curve(left, curve)
    _draw_scores(right, rows)
    axes = bottom.subplots(len(strips), 1, squeeze=False)[:, 0]
    for number, (axis, strip) in enumerate(zip(axes, strips, strict=True), 1):
        _draw_strip(axis, strip, last=number == len(strips))
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _draw_curve(axis: Axes, curve: Curve) -> None:
    styles = {
        "score": ("reward", GREEN, 2.2),
        "iou": ("IoU of sampled answers", BLUE, 1.6),
        "format": ("answers in form", GREY, 1.6),
    }
    for name, values in curve.rewards.items():
        label, colour, width = styles[name]
        axis.plot(curve.steps, values, color=colour, linewidth=width, label=label)
    axis.plot(
        curve.validation_steps,
        curve.validation_iou,
        "D",
        color=PINK,
        label="mIoU on validation clips (greedy)",
    )
    axis.set(xlabel="GRPO step", ylim=(0, 1.3), title="training")
    axis.grid(alpha=0.25)
    axis.legend(loc="upper center", ncols=2, fontsize=8, frameon=False)


def _draw_scores(axis: Axes, rows: Sequence[Row]) -> None:
    shown = [row for row in rows if row.metric != "parse_failure"]
    for shift, (label, colour), name in ((-0.2, BARS[1], "before"), (0.2, BARS[2], "after")):
        values = [getattr(row, name) for row in shown]
        places = [k + shift for k in range(len(shown))]
        bars = axis.bar(places, values, 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.2f", fontsize=8, padding=1)
    axis.set_xticks(
        range(len(shown)), [TITLES[row.metric].replace(" at ", "\nat ") for row in shown]
    )
    axis.tick_params(axis="x", labelsize=8)
    axis.set(ylim=(0, 1.3), title="unseen test clips, by lmms-eval")
    axis.grid(axis="y", alpha=0.25)
    axis.set_axisbelow(True)
    axis.legend(loc="upper center", ncols=2, fontsize=8, frameon=False)


def _draw_strip(axis: Axes, strip: Strip, *, last: bool) -> None:
    step = strip.duration_seconds / len(strip.frames)
    gap = 0.03 * step
    for number, frame in enumerate(strip.frames):
        extent = (number * step + gap, (number + 1) * step - gap, 0.0, 1.0)
        axis.imshow(frame, extent=extent, aspect="auto", interpolation="nearest")
    places = [-0.2 - 0.3 * k for k in range(len(BARS))]
    for (_, colour), span, place in zip(BARS, strip.spans, places, strict=True):
        if span is None:
            axis.text(0.05, place, "no span in the answer", fontsize=7, va="center", color=colour)
        else:
            axis.barh(place, span.length_seconds, 0.22, left=span.start_seconds, color=colour)
    whole_seconds = range(int(strip.duration_seconds) + 1)
    axis.vlines(whole_seconds, -1.0, 0.0, color="#dddddd", linewidth=0.8, zorder=0)
    axis.set(xlim=(0, strip.duration_seconds), ylim=(-1.0, 1.0))
    axis.set_yticks(places, [name for name, _ in BARS], fontsize=8)
    for label, (_, colour) in zip(axis.get_yticklabels(), BARS, strict=True):
        label.set_color(colour)
    axis.set_title(
        f"“{strip.query}”   IoU {strip.ious[0]:.2f} → {strip.ious[1]:.2f}",
        fontsize=10,
        loc="left",
        pad=3,
        parse_math=False,
    )
    axis.tick_params(axis="both", length=0)
    axis.set_xticks(whole_seconds)
    axis.tick_params(axis="x", labelsize=7, labelbottom=last)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    if last:
        axis.set_xlabel("seconds", fontsize=9)
