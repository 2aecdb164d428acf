"""What a traced forward pass is made of: operators and module calls."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """One aten operator, as it ran.

    Attributes:
        name: aten packet name, ``"convolution"``, ``"add"``.
        path: dotted path of the innermost running ``nn.Module``, ``""`` for the root.
        macs: multiply-adds, by `attnbench.counting.mac_rules`.
        activations: output elements of a convolution, linear layer or matrix product, else 0.
        bytes: read and written: all tensor inputs and outputs; views are free.
        bias: output elements that this operator adds a bias to, else 0.
        elements: elements of the (first) output.
    """

    name: str
    path: str
    macs: int
    activations: int
    bytes: int
    bias: int
    elements: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an ``nn.Module``.

    Attributes:
        path: dotted path; a module used twice has two calls of the same path.
        kind: class name.
        inputs: shapes of the positional inputs, None for what is no tensor; tensors passed by
            keyword come after them.
        output: its shape, None when it is not one tensor.
        first_op, last_op: half-open range into `Trace.ops`.
    """

    path: str
    kind: str
    inputs: tuple[Shape | None, ...]
    output: Shape | None
    first_op: int
    last_op: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some operators, for the batch that was traced."""

    macs: int
    activations: int
    bytes: int
    operators: int
