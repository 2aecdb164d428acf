"""Figures of activation maps, with one row per site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnbench.errors import RequestError
from attnbench.reports.figures.activation_stats import Array, SiteMap
from attnbench.reports.figures.figure_files import blank, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from torch import Tensor

__all__ = ["draw_groups", "draw_maps", "save"]

_ROWS = 8
_SMALL, _PLAIN, _LARGE = 8, 9, 12
_MAGNITUDE, _GAIN, _CHANGE = "viridis", "cividis", "inferno"
_FLAT = 1e-6
"""Relative range below which a map is drawn in one color."""


def draw_maps(image: Tensor, sites: Sequence[SiteMap], title: str) -> Figure:
    """Draw the effect of each site's module on the features of an image.

    From left to right: the image; the mean magnitude before and after, on one color scale; the
    gain at each position; the relative change over the image; the gain of each channel.
    :class:`SiteMap` defines these quantities. Each row has its own color scales.

    Args:
        image: uint8 (3, H, W), as displayed, not normalized.
        sites: the result of :func:`attention_maps` for that image; the first eight are drawn.
        title: the title of the figure.

    Raises:
        RequestError: there is no site, or the image has another dtype or shape.
    """
    picture = _picture(image)
    if not sites:
        raise RequestError("no site to draw; attention_maps gives them")
    shown = sites[:_ROWS]
    figure = blank(15.5, 0.8 + 2.45 * len(shown))
    rest = f"   (the first {_ROWS} of {len(sites)} sites)" if len(sites) > _ROWS else ""
    figure.suptitle(title + rest, fontsize=_LARGE, parse_math=False)
    rows = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    for row, site in zip(rows, shown, strict=True):
        _draw_row(row, picture, site)
    return figure


def draw_groups(image: Tensor, site: SiteMap, groups: int, title: str) -> Figure:
    """Draw the relative change of each channel group over the image, on one color scale.

    Raises:
        RequestError: the channels do not divide into ``groups`` groups, or the image has another
            dtype or shape.
    """
    picture = _picture(image)
    maps = site.group_maps(groups)
    columns = min(groups, 6)
    rows = -(-groups // columns)
    figure = blank(1.6 + 2.2 * columns, 0.9 + 2.3 * rows)
    figure.suptitle(f"{title}\n{_heading(site)}", fontsize=_PLAIN, parse_math=False)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    limits = _limits(maps)
    size = site.channels // groups
    for axes in grid[groups:]:
        axes.set_axis_off()
    drawn = [
        _overlay(axes, picture, change, limits)
        for axes, change in zip(grid[:groups], maps, strict=True)
    ]
    for at, axes in enumerate(grid[:groups]):
        _name(axes, f"channels {at * size}–{at * size + size - 1}")
    _color_bar(figure, drawn[0], list(grid), "relative change")
    return figure


def _draw_row(row: SubFigure, picture: Array, site: SiteMap) -> None:
    row.suptitle(_heading(site), fontsize=_PLAIN + 1, x=0.01, ha="left", parse_math=False)
    axes = row.subplots(1, 6, width_ratios=[1, 1, 1, 1, 1, 1.5])
    axes[0].imshow(picture)
    _name(axes[0], "image")
    shared = _limits(site.before, site.after)
    _map(axes[1], picture, site.before, shared, _MAGNITUDE)
    _name(axes[1], "before: mean |x|")
    drawn = _map(axes[2], picture, site.after, shared, _MAGNITUDE)
    _name(axes[2], "after: mean |y|")
    _color_bar(row, drawn, list(axes[1:3]))
    drawn = _map(axes[3], picture, site.gain, _limits(site.gain), _GAIN)
    _name(axes[3], "gain per position")
    _color_bar(row, drawn, [axes[3]])
    drawn = _overlay(axes[4], picture, site.change, _limits(site.change))
    _name(axes[4], "relative change")
    _color_bar(row, drawn, [axes[4]])
    _draw_channels(axes[5], site.channel_gain)


def _draw_channels(axes: Axes, gains: Array) -> None:
    """Draw each channel's gain as a bar from 1 (no change)."""
    edges = np.arange(len(gains) + 1) - 0.5
    low, high = _limits(gains, np.ones(1))
    room = 0.08 * (high - low)
    axes.stairs(gains, edges, baseline=1.0, fill=True, color="#35608d")
    axes.axhline(1.0, color="0.35", linewidth=0.8)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel("channel", fontsize=_SMALL)
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.locator_params(axis="y", nbins=5)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.tick_params(labelsize=_SMALL)
    axes.set_title("gain per channel", fontsize=_PLAIN)


def _map(
    axes: Axes, picture: Array, values: Array, limits: tuple[float, float], colormap: str
) -> Any:
    """Draw a map cell by cell, in the image's aspect ratio, with NaN in light gray."""
    height, width = picture.shape[:2]
    axes.set_facecolor("0.85")
    return axes.imshow(
        np.ma.masked_invalid(values),
        cmap=colormap,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, height, 0),
        interpolation="nearest",
    )


def _overlay(axes: Axes, picture: Array, values: Array, limits: tuple[float, float]) -> Any:
    """Draw a map, upsampled bilinearly, over the image in gray."""
    height, width = picture.shape[:2]
    gray = picture @ np.array([0.299, 0.587, 0.114])
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    return axes.imshow(
        np.ma.masked_invalid(values),
        cmap=_CHANGE,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, height, 0),
        interpolation="bilinear",
        alpha=0.6,
    )


def _color_bar(
    figure: Figure | SubFigure, drawn: Any, axes: Sequence[Axes], label: str = ""
) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    bar = figure.colorbar(
        drawn,
        ax=axes,
        shrink=0.85,
        aspect=16,
        pad=0.02,
        ticks=MaxNLocator(5),
        format=ScalarFormatter(useOffset=False),
    )
    bar.set_label(label, fontsize=_PLAIN)
    bar.ax.tick_params(labelsize=_SMALL)


def _limits(*maps: Array) -> tuple[float, float]:
    """Return the minimum and maximum of the finite values, with a margin if they are equal."""
    values = np.concatenate([array[np.isfinite(array)].ravel() for array in maps])
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high))
    if high - low > _FLAT * size:
        return low, high
    room = 0.1 * size or 1.0
    return low - room, high + room


def _picture(image: Tensor) -> Array:
    """Return the image as an (H, W, 3) array."""
    if image.dim() != 3 or image.shape[0] != 3 or str(image.dtype) != "torch.uint8":
        raise RequestError(
            f"the image to draw on is {image.dtype} {tuple(image.shape)}; give uint8 (3, H, W)"
        )
    picture: Array = image.permute(1, 2, 0).cpu().numpy()
    return picture


def _name(axes: Axes, name: str) -> None:
    axes.set_title(name, fontsize=_PLAIN)
    axes.set_xticks([])
    axes.set_yticks([])


def _heading(site: SiteMap) -> str:
    return f"{site.path or 'the network itself'}   {site.shape}"
