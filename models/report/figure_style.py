"""The style of every figure of the project, and its rendering.

Colours are Okabe and Ito's, which colour-blind people tell apart (jfly.uni-koeln.de/color); series
differ by marker too.
"""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from models.errors import FigureError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8C8C8C", "#222222"
SERIES = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")  # a second cue beside colour
DOTS_PER_INCH = 150
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.dpi": DOTS_PER_INCH,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters everywhere
    "font.size": 9,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",  # a page that holds the figure needs no font
    "svg.hashsalt": "leukoscope",  # equal data, equal bytes
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}
_P = ParamSpec("_P")


def render(figure: "Figure", format: Literal["png", "svg"] = "png") -> bytes:
    """The figure's bytes; equal figures give equal bytes (no date inside).

    Raises:
        FigureError: another format.
    """
    if format not in ("png", "svg"):
        raise FigureError(f"format must be png or svg; got {format!r}")
    stream = io.BytesIO()
    metadata = {"Software": None} if format == "png" else {"Date": None, "Creator": None}
    with _look():
        figure.savefig(stream, format=format, dpi=DOTS_PER_INCH, metadata=metadata, facecolor="white")
    return stream.getvalue()


def _look() -> AbstractContextManager[None]:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("figures need matplotlib: pip install '.[models]' in a clone of Leukoscope") from error
    return matplotlib.rc_context(_STYLE)


def styled(draw: "Callable[_P, Figure]") -> "Callable[_P, Figure]":
    """Draws inside the project's look, without touching the caller's settings."""

    @wraps(draw)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> "Figure":
        with _look():
            return draw(*args, **kwargs)

    return inside


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """A figure of `width` by `height` inches with its axes, drawn by Agg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **options)


def heading(figure: "Figure", title: str) -> None:
    """A title over the whole figure, at its left; none when empty."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")


def plain_numbers(axis: "Axis") -> None:
    """1, 10, 100 on a log axis, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
