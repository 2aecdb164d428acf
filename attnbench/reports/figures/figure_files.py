"""Creation of empty figures, and figure files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# no date, so that equal data give identical files
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def blank(width: float, height: float) -> Figure:
    """Return an empty figure, sized in inches, drawn by Agg and without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as png, pdf or svg, according to the suffix, and return the path.

    The folder is created if absent. The file is replaced atomically.

    Raises:
        RequestError: the suffix is another one, or the path cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in _METADATA:
        raise RequestError(f"{path}: a figure's file ends in .png, .pdf or .svg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            _write(figure, temporary, form)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error}") from error
    return path


def _write(figure: Figure, path: Path, form: str) -> None:
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "attnbench"}):
        figure.savefig(path, format=form, dpi=150, metadata=_METADATA[form])
