"""Additive parts of a cost: of a network, a block of it, or a module alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.counting.trace import Totals, Trace, Uncounted, uncounted_in

_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)


@dataclass(frozen=True)
class CostPart:
    """Additive costs: exact integers, for one image."""

    params: int = 0
    trainable: int = 0
    params_no_norm: int = 0
    """Parameters without those of norms, as in the tables of many papers."""
    macs: int = 0
    activations: int = 0
    bytes: int = 0
    operators: int = 0
    uncounted: Counter[Uncounted] = field(default_factory=Counter)
    """Operators whose MACs are unknown, with their calls; no value of a record."""

    def __add__(self, other: CostPart) -> CostPart:
        sums = {key: value + getattr(other, key) for key, value in self.values().items()}
        return CostPart(**sums, uncounted=self.uncounted + other.uncounted)

    def __sub__(self, other: CostPart) -> CostPart:
        sums = {key: value - getattr(other, key) for key, value in self.values().items()}
        return CostPart(**sums, uncounted=self.uncounted - other.uncounted)

    def values(self) -> dict[str, int]:
        """Return the costs by name."""
        names = (field.name for field in fields(self) if field.name != "uncounted")
        return {name: getattr(self, name) for name in names}


class Inventory:
    """The parameters of a network, listed once for counting many rows.

    A parameter that several modules share is counted once, as long as one of them is left.
    """

    def __init__(self, model: nn.Module) -> None:
        norms = {
            id(parameter)
            for module in model.modules()
            if isinstance(module, _NORMS)
            for parameter in module.parameters(recurse=False)
        }
        self._listed = [
            (name, id(p), p.numel(), p.requires_grad, id(p) in norms)
            for name, p in model.named_parameters(remove_duplicate=False)
        ]

    def part(self, trace: Trace, without: Collection[str] = ()) -> CostPart:
        """Return the cost of the traced network, less the modules at the paths ``without``."""
        prefixes = tuple(f"{path}." for path in without)
        kept = {row[1]: row for row in self._listed if not row[0].startswith(prefixes)}.values()
        removed = [trace.ops_under(path) for path in without]
        totals = [Totals.of(ops) for ops in removed]
        uncounted = Counter(trace.uncounted)
        for ops in removed:
            uncounted -= uncounted_in(ops)
        return CostPart(
            params=sum(numel for _, _, numel, _, _ in kept),
            trainable=sum(numel for _, _, numel, trainable, _ in kept if trainable),
            params_no_norm=sum(numel for _, _, numel, _, is_norm in kept if not is_norm),
            uncounted=uncounted,
            **{
                key: value - sum(getattr(part, key) for part in totals)
                for key, value in asdict(trace.totals).items()
            },
        )
