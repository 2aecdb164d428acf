"""What a network, a block of it, or a module alone contributes to a cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.counting.ops import Totals
from attnbench.counting.trace import Trace

_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)


@dataclass(frozen=True)
class Part:
    """Costs that add up: exact integers, for one image."""

    params: int = 0
    trainable: int = 0
    params_no_norm: int = 0
    """Without batch norm's: what the tables of many papers count."""
    macs: int = 0
    activations: int = 0
    bytes: int = 0

    def __add__(self, other: Part) -> Part:
        return Part(*(a + b for a, b in zip(self._values(), other._values(), strict=True)))

    def __sub__(self, other: Part) -> Part:
        return Part(*(a - b for a, b in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> list[int]:
        return [getattr(self, field.name) for field in fields(self)]


def whole_part(model: nn.Module, trace: Trace, without: Collection[str] = ()) -> Part:
    """Return the cost of a traced network, less the modules at the paths ``without``.

    A parameter that something else shares stays counted, and is counted once.
    """
    prefixes = tuple(f"{path}." for path in without)
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    kept = {
        id(parameter): parameter
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if not name.startswith(prefixes)
    }
    totals = _less(trace, without)
    return Part(
        params=sum(one.numel() for one in kept.values()),
        trainable=sum(one.numel() for one in kept.values() if one.requires_grad),
        params_no_norm=sum(one.numel() for key, one in kept.items() if key not in norms),
        macs=totals.macs,
        activations=totals.activations,
        bytes=totals.bytes,
    )


def _less(trace: Trace, without: Collection[str]) -> Totals:
    parts = [trace.under(path) for path in without]
    return Totals(
        macs=trace.macs - sum(part.macs for part in parts),
        activations=trace.activations - sum(part.activations for part in parts),
        bytes=trace.bytes - sum(part.bytes for part in parts),
    )
