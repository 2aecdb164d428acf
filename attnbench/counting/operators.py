"""Elements of a traced forward pass: operators and module calls."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """One executed aten operator.

    Attributes:
        name: aten packet name, ``"convolution"``, ``"add"``.
        path: dotted path of the innermost running ``nn.Module``, ``""`` for the root.
        macs: multiply-adds, by `attnbench.counting.mac_rules`.
        activations: output elements of a convolution, linear layer or matrix product, else 0.
        bytes: bytes read and written: all tensor inputs and outputs; views are free.
        bias: output elements to which this operator adds a bias, else 0.
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
        inputs: shapes of the positional inputs, None for a non-tensor; tensors passed by
            keyword come after them.
        output: shape of the output, None if it is not one tensor.
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
    """Sums over some operators, for the traced batch."""

    macs: int
    activations: int
    bytes: int
    operators: int
