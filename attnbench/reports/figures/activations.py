"""Effect of modules on an image's features: statistics and figures, without importing torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import RequestError
from attnbench.reports.figures.figure_files import BLUE, DOUBLE, PLAIN, SMALL, blank, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from torch import Tensor

_ROWS = 8
_MAGNITUDE, _GAIN, _CHANGE = "viridis", "cividis", "inferno"
_NAMES = ("image", "before: mean |x|", "after: mean |y|", "gain per position", "relative change")
_FLAT = 1e-6
"""Relative range below which a map is drawn in one color."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Feature maps before and after a module: x and y, C channels on a grid of positions p.

    All maps are computed from these two. A ratio 0/0 (no signal before the module) is NaN.
    Infinite features are stored as NaN and affect no other position.

    Attributes:
        path: path of the site in the network, such as ``"features.13"``.
        x: input of the module, (C, h, w).
        y: output of the module, (C, h, w).
    """

    path: str
    x: Array
    y: Array

    def __post_init__(self) -> None:
        if self.x.ndim != 3 or self.x.shape != self.y.shape or not self.x.size:
            raise RequestError(
                f"{self.path}: features before and after the module differ in shape or are not "
                f"(C, h, w): got {self.x.shape} and {self.y.shape}."
            )
        for name in ("x", "y"):
            values = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, np.where(np.isfinite(values), values, np.nan))

    @property
    def channels(self) -> int:
        """Return the number of channels C."""
        return int(self.x.shape[0])

    @property
    def shape(self) -> str:
        """Return the shape as text, ``"96×14×14"``."""
        return "×".join(str(size) for size in self.x.shape)

    @cached_property
    def before(self) -> Array:
        """Return the mean magnitude before: ``1/C sum_c |x_c(p)|``, (h, w)."""
        return np.asarray(np.abs(self.x).mean(0))

    @cached_property
    def after(self) -> Array:
        """Return the mean magnitude after: ``1/C sum_c |y_c(p)|``, (h, w)."""
        return np.asarray(np.abs(self.y).mean(0))

    @cached_property
    def change(self) -> Array:
        """Return the relative change: ``sum_c |y_c(p) - x_c(p)| / sum_c |x_c(p)|``, (h, w).

        It is 0 for an identity, |a - 1| for a gate of a, |m(p) - 1| for a spatial mask m. It
        measures any change, including an additive one, which a gain does not reflect. For gates
        that differ between channels, it depends on which channels are active at p.
        """
        return np.asarray(self.group_maps(1)[0])

    @cached_property
    def channel_gain(self) -> Array:
        """Return the least-squares gain of each channel: ``g_c = <y_c, x_c> / <x_c, x_c>``, (C,).

        Sums run over positions. The gain is 1 for an identity, a_c for channel gates a.
        """
        top, bottom = self._products
        return _ratio(np.nansum(top, (1, 2)), np.nansum(bottom, (1, 2)))

    @cached_property
    def gain(self) -> Array:
        """Return the gain at each position, with the channels' own gains divided out, (h, w).

        It is the least-squares s(p) of ``y_c(p) = s(p) g_c x_c(p)``, times the gain of the whole
        tensor::

            gain(p) = sum_c y_c g_c x_c / sum_c (g_c x_c)^2 * <y, x> / <x, x>

        Gates that differ only between channels therefore give a flat map, independent of the
        channels active at p. The gain is 1 for an identity. A spatial mask m gives m(p), exactly if
        all channels share a spatial pattern, else up to the variation of the channels' own gains.
        Where no channel at p has a gain, it is ``sum_c y_c x_c / sum_c x_c^2``.
        """
        scaled = np.nan_to_num(self.channel_gain)[:, None, None] * self.x
        top, bottom = self._products
        overall = _ratio(np.nansum(top), np.nansum(bottom))
        shared = _ratio((self.y * scaled).sum(0), (scaled**2).sum(0)) * overall
        plain = _ratio(top.sum(0), bottom.sum(0))
        return np.where(np.isnan(shared), plain, shared)

    @cached_property
    def _products(self) -> tuple[Array, Array]:
        """Return ``y x`` and ``x^2``, (C, h, w); both are NaN where either feature is."""
        top = self.y * self.x
        return top, np.where(np.isnan(top), np.nan, self.x**2)

    def group_maps(self, groups: int) -> Array:
        """Return :attr:`change` within each of ``groups`` blocks of consecutive channels.

        The result has shape (g, h, w), with sums over the C/g channels of a group. It shows the
        separate maps of a module that divides its channels into subspaces.

        Raises:
            RequestError: the channels do not divide into ``groups`` groups.
        """
        if groups < 1 or self.channels % groups:
            raise RequestError(
                f"{self.path}: groups do not divide the {self.channels} channels: got {groups}. "
                "Give a divisor."
            )
        grouped = (groups, self.channels // groups, *self.x.shape[1:])
        moved = np.abs(self.y - self.x).reshape(grouped).sum(1)
        return _ratio(moved, np.abs(self.x).reshape(grouped).sum(1))


def _ratio(top: Array | np.float64, bottom: Array | np.float64) -> Array:
    """Return top / bottom, with NaN for 0/0 and for non-finite values."""
    ratio = np.full(np.shape(bottom), np.nan)
    np.divide(top, bottom, out=ratio, where=np.asarray(bottom) > 0)
    return ratio


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
        raise RequestError(
            "draw_maps() needs at least one site: got none. Pass the result of attention_maps."
        )
    shown = sites[:_ROWS]
    rest = f"   (the first {_ROWS} of {len(sites)} sites)" if len(sites) > _ROWS else ""
    figure = blank(DOUBLE, 0.4 + 1.35 * len(shown), title + rest)
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
    title = f"{title}\n{_heading(site)}"
    figure = blank(0.7 + (DOUBLE - 0.7) / 6 * columns, 0.6 + 1.2 * rows, title, PLAIN)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    limits = _limits(maps)
    size = site.channels // groups
    for axes in grid[groups:]:
        axes.set_axis_off()
    for at, (axes, change) in enumerate(zip(grid, maps, strict=False)):
        drawn = _overlay(axes, picture, change, limits)
        _name(axes, f"channels {at * size}–{at * size + size - 1}")
    _color_bar(figure, drawn, list(grid), "relative change")  # pyright: ignore
    return figure


def _draw_row(row: SubFigure, picture: Array, site: SiteMap) -> None:
    row.suptitle(_heading(site), fontsize=PLAIN + 1, x=0.01, ha="left", parse_math=False)
    axes = row.subplots(1, 6, width_ratios=[1, 1, 1, 1, 1, 1.5])
    axes[0].imshow(picture)
    shared = _limits(site.before, site.after)
    _map(axes[1], picture, site.before, shared, _MAGNITUDE)
    after = _map(axes[2], picture, site.after, shared, _MAGNITUDE)
    gain = _map(axes[3], picture, site.gain, _limits(site.gain), _GAIN)
    change = _overlay(axes[4], picture, site.change, _limits(site.change))
    for at, name in enumerate(_NAMES):
        _name(axes[at], name)
    for drawn, beside in ((after, axes[1:3]), (gain, axes[3:4]), (change, axes[4:5])):
        _color_bar(row, drawn, list(beside))
    _draw_channels(axes[5], site.channel_gain)


def _draw_channels(axes: Axes, gains: Array) -> None:
    """Draw each channel's gain as a bar from 1 (no change)."""
    edges = np.arange(len(gains) + 1) - 0.5
    low, high = _limits(gains, np.ones(1))
    room = 0.08 * (high - low)
    axes.stairs(gains, edges, baseline=1.0, fill=True, color=BLUE)
    axes.axhline(1.0, color="0.35", linewidth=0.8)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(low - room, high + room)
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.locator_params(axis="y", nbins=5)
    axes.ticklabel_format(axis="y", useOffset=False)
    style_axes(axes, "gain per channel", x="channel")


def _map(
    axes: Axes,
    picture: Array,
    values: Array,
    limits: tuple[float, float],
    colormap: str,
    **options: Any,
) -> Any:
    """Draw a map, by default cell by cell, in the image's aspect ratio, with NaN in light gray."""
    height, width = picture.shape[:2]
    axes.set_facecolor("0.85")
    return axes.imshow(
        np.ma.masked_invalid(values),
        cmap=colormap,
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, height, 0),
        **{"interpolation": "nearest", **options},
    )


def _overlay(axes: Axes, picture: Array, values: Array, limits: tuple[float, float]) -> Any:
    """Draw a map, upsampled bilinearly, over the image in gray."""
    gray = picture @ np.array([0.299, 0.587, 0.114])
    _map(axes, picture, gray, (0, 255), "gray", interpolation=None)
    return _map(axes, picture, values, limits, _CHANGE, interpolation="bilinear", alpha=0.6)


def _color_bar(
    figure: Figure | SubFigure, drawn: Any, axes: Sequence[Axes], label: str = ""
) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    size: dict[str, Any] = {"shrink": 0.85, "aspect": 16, "pad": 0.02}
    form = ScalarFormatter(useOffset=False)
    bar = figure.colorbar(drawn, ax=axes, ticks=MaxNLocator(5), format=form, **size)
    bar.set_label(label, fontsize=PLAIN)
    bar.ax.tick_params(labelsize=SMALL)


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
            f"image has the wrong type or shape: got {image.dtype} {tuple(image.shape)}. "
            "Give uint8 (3, H, W)."
        )
    picture: Array = image.permute(1, 2, 0).cpu().numpy()
    return picture


def _name(axes: Axes, name: str) -> None:
    style_axes(axes, name)
    axes.set_xticks([])
    axes.set_yticks([])


def _heading(site: SiteMap) -> str:
    return f"{site.path or 'the network itself'}   {site.shape}"
