"""What all pictures share: colours and an off-screen figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# colours that stay apart for colour-blind readers (Okabe and Ito)
BLACK, ORANGE, BLUE, GREEN, PINK = "#222222", "#E69F00", "#0072B2", "#009E73", "#CC79A7"
SKY, RED, GREY = "#56B4E9", "#D55E00", "#999999"
RUNS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK, GREY)
DOTS_PER_INCH = 130


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """A figure that needs no screen.

    Raises:
        ImportError: matplotlib is missing; the message holds the pip command.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'matplotlib>=3.8'") from error
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
