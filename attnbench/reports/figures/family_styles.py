"""Color and marker of each family of modules, and of the controls, in all figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attnbench.reports.figures.figure_files import SMALL, style_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAIN_NETWORK, WIDER, UNDECLARED = "plain", "wider", "not declared"
_GRAY = ("0.45", "o")
# the colors of Okabe and Ito, which the color-blind tell apart; markers do so in gray
_STYLES = {
    PLAIN_NETWORK: ("black", "*"),
    WIDER: ("black", "s"),
    "channel": ("#0072B2", "o"),
    "spatial": ("#E69F00", "^"),
    "mixed": ("#009E73", "D"),
    "non-local": ("#CC79A7", "v"),
    "large-kernel": ("#D55E00", "p"),
    "parameter-free": ("#56B4E9", "h"),
    "control": ("0.45", "X"),
}


def style_of(family: str) -> tuple[Any, str]:
    """Return the color and the marker of a family; gray dots for families without a style."""
    return _STYLES.get(family, _GRAY)


def order_families(families: Iterable[str]) -> list[str]:
    """Return the families, each once, in the order of their styles, then by name."""
    order = list(_STYLES)
    return sorted(set(families), key=lambda name: (_rank(order, name), name))


def _rank(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def add_family_legend(
    figure: Figure, families: Iterable[str], columns: int, title: str = ""
) -> None:
    """Add a legend of the families below the plot."""
    from matplotlib.lines import Line2D

    names = order_families(families)
    handles = [
        Line2D(
            *([], []),
            linestyle="",
            color=color,
            marker=marker,
            markersize=4,
            markerfacecolor="white" if name == WIDER else color,
        )
        for name, (color, marker) in zip(names, map(style_of, names), strict=True)
    ]
    legend = figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(columns, len(names)),
        fontsize=SMALL,
        handletextpad=0.1,
        columnspacing=0.8,
        title=title or None,
        title_fontsize=SMALL,
    )
    style_legend(legend)
