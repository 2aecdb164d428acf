"""A shape-only forward pass: every operator and module call of a model, with its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.counting.forward_pass import checked_size, on_copy, quiet_pass
from attnbench.counting.mac_rules import Shape
from attnbench.counting.recorder import Call, Op, Recorder

__all__ = ["Call", "Op", "Totals", "Trace", "Uncounted", "macs_of", "trace", "uncounted_in"]


@dataclass(frozen=True, slots=True, order=True)
class Uncounted:
    """An operator whose MACs are unknown, on tensors of these sizes."""

    operator: str
    sizes: tuple[Shape, ...]

    def to_dict(self, calls: int) -> dict[str, Any]:
        """Return the JSON form, with the number of calls."""
        return {
            "operator": self.operator,
            "calls": calls,
            "sizes": [list(size) for size in self.sizes],
        }


def uncounted_in(ops: Iterable[Op]) -> Counter[Uncounted]:
    """Return the operators whose MACs are unknown, with their calls."""
    return Counter(Uncounted(op.name, op.unknown) for op in ops if op.unknown is not None)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some operators, for the traced batch.

    Attributes:
        macs: multiply-adds.
        activations: output elements of all convolutions, linear layers and matrix products.
        bytes: bytes read and written by all operators, each on its own.
        operators: number of operators that move data; views are free.
    """

    macs: int
    activations: int
    bytes: int
    operators: int

    @classmethod
    def of(cls, ops: Sequence[Op]) -> Totals:
        """Return the sums over `ops`."""
        return cls(
            sum(op.macs for op in ops),
            sum(op.activations for op in ops),
            sum(op.bytes for op in ops),
            sum(op.bytes > 0 for op in ops),
        )


@dataclass(frozen=True)
class Trace:
    """A forward pass: its operators, and its module calls in the order of entry."""

    ops: tuple[Op, ...]
    calls: tuple[Call, ...]

    @cached_property
    def totals(self) -> Totals:
        """The totals of the whole pass."""
        return Totals.of(self.ops)

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole pass."""
        return self.totals.macs

    @cached_property
    def uncounted(self) -> Counter[Uncounted]:
        """The operators whose MACs are unknown, with their calls."""
        return uncounted_in(self.ops)

    def ops_under(self, path: str) -> tuple[Op, ...]:
        """Return the operators that ran inside the module at `path`.

        A container that is never called itself (``nn.ModuleList``) has the operators of its parts.
        The result is empty for a module that did not run.
        """
        ranges = [(c.first_op, c.last_op) for c in self.calls if c.path == path]
        if not ranges:
            inside = f"{path}." if path else ""
            ranges = [(c.first_op, c.last_op) for c in self.calls if c.path.startswith(inside)]
        within = sorted({at for first, last in ranges for at in range(first, last)})
        return tuple(self.ops[at] for at in within)

    def under(self, path: str) -> Totals:
        """Return the totals of `ops_under`."""
        return Totals.of(self.ops_under(path))


def trace(model: nn.Module, input_size: Sequence[int], *, owned: bool = False) -> Trace:
    """Run `model` once on shapes alone and return its operators and module calls.

    The pass runs on a copy on the meta device, in eval mode and without gradients; the model
    itself is never changed. A model whose forward pass depends on values runs once more, with
    values, on the CPU.

    Args:
        model: any module that takes one floating tensor.
        input_size: shape of that tensor, the batch first.
        owned: whether the model is on the meta device and not used elsewhere; it is then run
            without a copy and left in eval mode.

    Raises:
        CountingError: the forward pass failed on shapes and with values.
    """
    return on_copy(model, checked_size(input_size), _traced, owned=owned)


def macs_of(function: Callable[..., object], *shapes: Shape) -> int:
    """Return the MACs of a function call on tensors of these shapes."""
    with quiet_pass(), Recorder() as recorder:
        function(*(torch.empty(shape, device="meta") for shape in shapes))
    return sum(op.macs for op in recorder.ops)


def _traced(model: nn.Module, image: Tensor) -> Trace:
    recorder = Recorder()
    with recorder.watching(model), recorder:
        model(image)
    return Trace(tuple(recorder.ops), tuple(recorder.calls))
