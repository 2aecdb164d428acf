"""What a module did to one image's features at one site, in numbers. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import RequestError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SiteMap:
    """Features before and after a module: x and y, C channels on a grid of positions p.

    All maps are worked out from these two. Where a ratio is 0/0 (no signal before the module), it
    is NaN; infinite features are kept as NaN, and one such position spoils no other.

    Attributes:
        path: of the site in the network, ``"features.13"``.
        x: what the module was given, (C, h, w).
        y: what it returned, (C, h, w).
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
        """C."""
        return int(self.x.shape[0])

    @property
    def shape(self) -> str:
        """``"96×14×14"``."""
        return "×".join(str(size) for size in self.x.shape)

    @cached_property
    def before(self) -> Array:
        """Mean magnitude before: ``1/C sum_c |x_c(p)|``, (h, w)."""
        return np.asarray(np.abs(self.x).mean(0))

    @cached_property
    def after(self) -> Array:
        """Mean magnitude after: ``1/C sum_c |y_c(p)|``, (h, w)."""
        return np.asarray(np.abs(self.y).mean(0))

    @cached_property
    def change(self) -> Array:
        """Relative change: ``sum_c |y_c(p) - x_c(p)| / sum_c |x_c(p)|``, (h, w).

        0 for an identity, |a - 1| for a gate of a, |m(p) - 1| for a spatial mask m. It sees any
        change, also an added one that a gain is blind to; for gates that differ between channels
        it depends on which channels are active at p.
        """
        return np.asarray(self.group_maps(1)[0])

    @cached_property
    def channel_gain(self) -> Array:
        """Least-squares gain of each channel: ``g_c = <y_c, x_c> / <x_c, x_c>``, (C,).

        Sums run over positions. 1 for an identity, a_c for channel gates a.
        """
        top, bottom = self._products
        return _ratio(np.nansum(top, (1, 2)), np.nansum(bottom, (1, 2)))

    @cached_property
    def gain(self) -> Array:
        """Gain at each position with the channels' own gains divided out, (h, w).

        The least-squares s(p) of ``y_c(p) = s(p) g_c x_c(p)``, times the gain of the whole tensor::

            gain(p) = sum_c y_c g_c x_c / sum_c (g_c x_c)^2 * <y, x> / <x, x>

        so that gates which differ only between channels give a flat map, whichever channels are
        active at p; 1 for an identity. A spatial mask m gives m(p) exactly if all channels have
        one spatial pattern, else m(p) up to how much the channels' own gains differ. Where all
        channels at p have no gain, it is ``sum_c y_c x_c / sum_c x_c^2``.
        """
        scaled = np.nan_to_num(self.channel_gain)[:, None, None] * self.x
        top, bottom = self._products
        overall = _ratio(np.nansum(top), np.nansum(bottom))
        shared = _ratio((self.y * scaled).sum(0), (scaled**2).sum(0)) * overall
        plain = _ratio(top.sum(0), bottom.sum(0))
        return np.where(np.isnan(shared), plain, shared)

    @cached_property
    def _products(self) -> tuple[Array, Array]:
        """``y x`` and ``x^2``, (C, h, w); both NaN where either feature is."""
        top = self.y * self.x
        return top, np.where(np.isnan(top), np.nan, self.x**2)

    def group_maps(self, groups: int) -> Array:
        """Return :attr:`change` within each of ``groups`` runs of neighbouring channels.

        A module that cuts its channels into subspaces, each with a map of its own, shows them
        here: (g, h, w), the sums over the C/g channels of a group.

        Raises:
            RequestError: the channels cannot be cut into so many groups.
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
    """Return top / bottom, NaN where that is 0/0 or has no finite value."""
    ratio = np.full(np.shape(bottom), np.nan)
    np.divide(top, bottom, out=ratio, where=np.asarray(bottom) > 0)
    return ratio
