"""Statistics of a module's effect on an image's features at a site, without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import RequestError

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
                f"{self.path}: maps need features (C, h, w) of one shape before and after, not "
                f"{self.x.shape} and {self.y.shape}"
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
                f"{self.path}: {self.channels} channels do not divide into {groups} groups; "
                "give a divisor"
            )
        grouped = (groups, self.channels // groups, *self.x.shape[1:])
        moved = np.abs(self.y - self.x).reshape(grouped).sum(1)
        return _ratio(moved, np.abs(self.x).reshape(grouped).sum(1))


def _ratio(top: Array | np.float64, bottom: Array | np.float64) -> Array:
    """Return top / bottom, with NaN for 0/0 and for non-finite values."""
    ratio = np.full(np.shape(bottom), np.nan)
    np.divide(top, bottom, out=ratio, where=np.asarray(bottom) > 0)
    return ratio
