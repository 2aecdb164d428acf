"""Our MACs of one node of a TorchScript trace, from its arguments' shapes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.jit import _state

from attnbench.counting.mac_rules import RULES, Shape
from attnbench.counting.trace import macs_of
from attnbench.counting.uncounted_operators import is_free, plain_name


def macs_of_node(node: Any) -> int:
    """Return the MACs of a node by its rule, or those of the operators that it runs.

    An operator that torch makes of others (``matmul``, ``lstm``), a scripted function and an
    autograd function have none of their own. A node that cannot run on shapes has 0.
    """
    name = plain_name(str(node.kind()).removeprefix("aten::"))
    if name in RULES:
        output = _sizes(node.outputsAt(0)) or ()
        return RULES[name]([_argument(value, _sizes) for value in node.inputs()], output)
    if name == "prim::PythonOp":
        return sum(map(macs_of_node, node.g("Subgraph").nodes()))
    if name != "prim::CallFunction" and (name.startswith("prim::") or is_free(name)):
        return 0
    with suppress(Exception):  # its arguments may be values that the trace does not keep
        return macs_of(_call_of(node))
    return 0


def _call_of(node: Any) -> Callable[[], object]:
    """Return a call of a node's operator or scripted function on tensors without values."""
    values = [_argument(value, _empty) for value in node.inputs()]
    if node.kind() == "prim::CallFunction":
        function = _state._python_cu.find_function(str(node.inputsAt(0).type()))
        return lambda: function(*values[1:])
    schema = torch._C.parse_schema(node.schema())
    library, _, name = str(node.kind()).partition("::")
    packet = getattr(getattr(torch.ops, library), name)
    operator = getattr(packet, schema.overload_name or "default")
    pairs = list(zip(schema.arguments, values, strict=True))
    named = {argument.name: value for argument, value in pairs if argument.kwarg_only}
    return lambda: operator(*values[: len(values) - len(named)], **named)


def _argument(value: Any, of_tensor: Callable[[Any], Any]) -> Any:
    """Return an argument, with ``of_tensor`` of each tensor in it."""
    if isinstance(value.type(), torch.TensorType):
        return of_tensor(value)
    if value.node().kind() == "prim::ListConstruct":
        return [_argument(part, of_tensor) for part in value.node().inputs()]
    return value.toIValue()


def _sizes(value: Any) -> Shape | None:
    sizes = value.type().sizes() if isinstance(value.type(), torch.TensorType) else None
    return None if sizes is None else tuple(sizes)


def _empty(value: Any) -> Tensor:
    return torch.empty(value.type().sizes(), dtype=value.type().dtype(), device="meta")
