"""The common style of all figures, and figure files."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from attnbench.errors import RequestError
from attnbench.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

SMALL, PLAIN, LARGE = 6, 7, 8
"""Font sizes, in points: ticks and notes; titles and labels of axes; the figure's title."""
SINGLE, DOUBLE = 3.3, 7.0
"""Widths, in inches, of a figure in one column and across two columns of a paper."""
BLUE = "#35608d"
CHARACTER = 0.058
"""Approximate width of a character of plain size, in inches."""
_RESOLUTION = 150

# no date, so that equal data give identical files
_METADATA = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def blank(width: float, height: float, title: str, size: int = LARGE) -> Figure:
    """Return a figure, sized in inches, drawn by Agg and without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    characters = int(width / CHARACTER * PLAIN / size)
    lines = [fill(line, characters, break_on_hyphens=False) for line in title.splitlines()]
    figure.suptitle("\n".join(lines), fontsize=size, parse_math=False)
    return figure


def style_axes(
    axes: Axes,
    title: str = "",
    x: str = "",
    y: str = "",
    *,
    grid: Literal["x", "y", "both", ""] = "",
    loc: Literal["left", "center"] = "center",
) -> None:
    """Set the title, the labels, the size of the ticks and, below all else, the grid lines."""
    axes.set_title(title, fontsize=PLAIN, loc=loc, parse_math=False)
    axes.set_xlabel(x, fontsize=PLAIN)
    axes.set_ylabel(y, fontsize=PLAIN)
    axes.tick_params(labelsize=SMALL)
    if grid:
        axes.grid(axis=grid, color="0.92")
        axes.set_axisbelow(True)


def style_legend(legend: Legend) -> None:
    """Remove the frame, and show dollar signs of names as they are."""
    legend.set_frame_on(False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def check_suffix(path: Path) -> str:
    """Return the format of a figure file.

    Raises:
        RequestError: the suffix is none of a figure.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in _METADATA:
        raise RequestError(
            f"{path} is no figure file: got suffix {path.suffix!r}. Choose from .png, .pdf, .svg."
        )
    return form


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as png, pdf or svg, according to the suffix, and return the path.

    The folder is created if absent. The file is replaced atomically.

    Raises:
        RequestError: the suffix is another one.
        OutputError: the path cannot be written.
    """
    form = check_suffix(path)
    from matplotlib import rc_context

    # TrueType: publishers refuse the Type 3 fonts that matplotlib embeds otherwise
    settings = rc_context({"svg.hashsalt": "attnbench", "pdf.fonttype": 42})
    with atomic_write(path) as temporary, settings:
        figure.savefig(temporary, format=form, dpi=_RESOLUTION, metadata=_METADATA[form])
    return path
