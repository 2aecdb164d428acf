"""Maps as trained networks have them: large and small values, empty places, the largest sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import join_names
from attnbench.conformance.module_under_test import Size, Subject, join_shape
from attnbench.errors import AttnbenchError

Run = Callable[[nn.Module, Tensor], Tensor]

_LARGE_SIZES: tuple[tuple[int, Size], ...] = ((2, (56, 56)), (1, (112, 112)))
"""Batch and size of the largest maps of MobileNets."""
_DEVIATION = 5.0
_HEAVY = 10**8
"""Bytes moved, or multiply-adds, above which a large map is left out: N x N scores."""


def empty_position(x: Tensor) -> Tensor:
    """Return maps with zeros in all channels of one position."""
    emptied = x.clone()
    emptied[:, :, x.shape[2] // 2, x.shape[3] // 2] = 0
    return emptied


def empty_channel(x: Tensor) -> Tensor:
    """Return maps with zeros at all positions of one channel."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, 1:]], 1)


def one_spike(x: Tensor, value: float) -> Tensor:
    """Return zeros with one value in the middle of the first channel."""
    spike = torch.zeros_like(x)
    spike[:, 0, x.shape[2] // 2, x.shape[3] // 2] = value
    return spike


_MAPS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "zeros": torch.zeros_like,
    "one empty position": empty_position,
    "one empty channel": empty_channel,
    "maps of size 10": lambda x: 10 * x,
    "all +10": lambda x: torch.full_like(x, 10),
    "a spike of 100": lambda x: one_spike(x, 100),
    "maps of size 1e-4": lambda x: 1e-4 * x,
}


def describe_infinite(subject: Subject, rounded: Run, exact: Run, *, large: bool) -> str:
    """Return on which maps a rounded run is not finite and an exact run is; empty if on none.

    Args:
        subject: module under examination.
        rounded: runs a module on a map of float32 in reduced precision.
        exact: runs it in the most exact precision.
        large: whether the maps of the first layers are run as well.
    """
    small = {name: changed(subject.maps(2)) for name, changed in _MAPS.items()}
    found = _infinite(subject, small, rounded, exact)
    for batch, size in _LARGE_SIZES if large else ():
        if not _is_heavy(subject, batch, size):
            name = f"{join_shape(size)} maps of deviation {_DEVIATION:g}"
            x = {name: _DEVIATION * subject.maps(batch, size=size)}
            found += _infinite(subject, x, rounded, exact)
    return join_names(found)


def _infinite(subject: Subject, maps: Mapping[str, Tensor], rounded: Run, exact: Run) -> list[str]:
    """Return the names of maps of one size that only a rounded run spoils, with the share."""
    found: list[str] = []
    module: nn.Module | None = None
    for name, x in maps.items():
        size = x.shape[2], x.shape[3]
        module = module or subject.build(size=size).eval()
        y = rounded(module, x)
        infinite = int((~y.isfinite()).sum())
        # otherwise range is not the cause: the checks `extremes` and `maps` report it
        if infinite and exact(subject.build(size=size).eval(), x).isfinite().all():
            share = "all" if infinite == y.numel() else f"{infinite:,} of"
            found.append(f"{name} ({share} {y.numel():,} values)")
    return found


def _is_heavy(subject: Subject, batch: int, size: Size) -> bool:
    """Return whether a map is too large to run here, or forbidden, or fails."""
    try:
        run = subject.attention.first_run(subject.channels, size)
    except AttnbenchError:
        return True
    if run.trace is None:
        return True
    return batch * max(run.trace.totals.bytes, run.trace.totals.macs) > _HEAVY
