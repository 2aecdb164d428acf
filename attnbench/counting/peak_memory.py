"""The analytic peak of live activations of one inference, from the exported graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree

from attnbench.counting.forward_pass import quiet_pass
from attnbench.counting.model_copies import real_copy, shape_copy
from attnbench.errors import CountingError, RequestError
from attnbench.utils.text import first_line

# operators that turn a Python number, a constant of the model, into a tensor
_LIFTS = (torch.ops.aten.lift_fresh_copy.default, torch.ops.aten.lift_fresh.default)


@dataclass(frozen=True)
class Peak:
    """The largest sum of live activations, and its position.

    Attributes:
        bytes: bytes of all activations that are live while ``operator`` runs.
        operator: the ATen operator, ``"aten.batch_norm.default"``.
        path: path of its module, ``"features.2.conv.0.1"``; empty for the model itself.
    """

    bytes: int
    operator: str
    path: str


def peak_activations(model: nn.Module, example: Tensor) -> Peak:
    """Return the peak of live activations of one inference, from shapes alone.

    The model is exported in eval mode, without decompositions. While an operator runs, its inputs
    and its outputs are live; a buffer is freed after the last operator that reads it through any
    alias (views and in-place results share their base's buffer; a copy that ``reshape`` or
    ``contiguous`` must make is a buffer of its own). The input is an activation until its last
    use (the caller does not keep it), outputs live to the end. Weights, buffers and constants do
    not count, nor does the internal workspace of an operator (of a convolution). The result is a
    lower bound for an executor in graph order: eager mode holds more wherever a Python variable
    outlives the tensor's last use.

    Args:
        model: any module that takes one tensor; it is not changed.
        example: the input; its shape, dtype and memory format matter, its values do not.

    Raises:
        CountingError: the model cannot be exported.
    """
    if not isinstance(model, nn.Module) or not isinstance(example, Tensor):
        raise RequestError(
            "peak_activations() needs a nn.Module and a tensor: got "
            f"{type(model).__name__} and {type(example).__name__}."
        )
    program = _exported(model, example)
    size, at = _sweep(program.graph_module, program.graph_signature.user_inputs)
    # the path of the innermost module in which the operator was traced
    stack = list((at.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    return Peak(size, str(at.target) if at.op == "call_function" else at.op, path)


def _exported(model: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Export a copy on the CPU: autocast depends on the device, so meta would differ."""
    is_meta = any(p.is_meta for p in model.parameters())  # no values: shapes must suffice
    try:
        copied = shape_copy(model) if is_meta else real_copy(model)
        image = torch.empty_like(example, device="meta" if is_meta else "cpu")
        with quiet_pass():
            return torch.export.export(copied, (image,), strict=False)
    except (Exception, SystemExit) as error:  # any failure of the model's code
        raise CountingError(
            f"{type(model).__name__} has no analytic peak memory: torch.export on an input of size "
            f"{tuple(example.shape)} failed with {type(error).__name__}: {first_line(error)}"
        ) from error


def _sweep(graph: GraphModule, counted: Iterable[object]) -> tuple[int, Node]:
    """Return the largest sum of live bytes over the nodes of a graph, and the first such node."""
    nodes = list(graph.graph.nodes)
    buffers = _Buffers(nodes, frozenset(counted))
    live, best, where = 0, -1, nodes[-1]
    for at, node in enumerate(nodes):
        born = sum(buffer.bytes for buffer in buffers.born.get(at, ()))
        live += born
        # inputs exist before the first operator, but only an operator can be the peak
        if node.op not in ("placeholder", "get_attr"):
            inside = live + max(0, _within(graph, node) - born)
            if inside > best:
                best, where = inside, node
        live -= sum(buffer.bytes for buffer in buffers.dead.get(at, ()))
    return best, where


def _within(graph: GraphModule, node: Node) -> int:
    """Return the bytes that the subgraphs of a node (a branch, autocast) hold; else 0."""
    inputs = (source for source in node.all_input_nodes if source.op == "get_attr")
    parts = [getattr(graph, str(source.target)) for source in inputs]
    within = [_sweep(part, ())[0] for part in parts if isinstance(part, GraphModule)]
    return max(within, default=0)


@dataclass(eq=False)
class _Buffer:
    """One allocation; ``last`` is the position in the graph of its last user."""

    bytes: int
    last: int


class _Buffers:
    """The allocations of a graph, each live from the node that creates it to its last user.

    Two tensors share a buffer if the fake tensors that export left in the graph share a storage.
    The storage shows what the operator did, whereas its schema declares only what it may do
    (``reshape`` is declared an alias even where it copies, ``dropout`` is not even where it
    returns its input). An output that the schema declares a written argument shares the buffer of
    that argument, whatever its storage.
    """

    def __init__(self, nodes: Sequence[Node], counted: frozenset[object]) -> None:
        """Traverse ``nodes`` once; placeholders that are not in ``counted`` have size 0."""
        self._counted = counted
        self._of: dict[Node, tuple[_Buffer | None, ...]] = {}
        self._by_storage: dict[StorageWeakRef, _Buffer] = {}
        self.born: dict[int, list[_Buffer]] = {}
        """Buffers by the position of the node that creates them."""
        self.dead: dict[int, list[_Buffer]] = {}
        """Buffers by the position of their last user."""
        for at, node in enumerate(nodes):
            self._visit(node, at)
        for buffer in chain.from_iterable(self.born.values()):
            self.dead.setdefault(buffer.last, []).append(buffer)

    def _visit(self, node: Node, at: int) -> None:
        for buffer in chain.from_iterable(self._of[source] for source in node.all_input_nodes):
            if buffer is not None:
                buffer.last = at
        outputs = pytree.tree_leaves(node.meta.get("val"))
        bases = _bases(node)
        self._of[node] = tuple(
            self._place(node, output, bases.get(i), at) for i, output in enumerate(outputs)
        )

    def _place(self, node: Node, output: object, base: Node | None, at: int) -> _Buffer | None:
        """Return the buffer of one output: the buffer of its base or its storage, or a new one."""
        if not isinstance(output, Tensor):
            return None
        storage = output.untyped_storage()
        key = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        buffer = self._of[base][0] if base else self._by_storage.get(key)
        if buffer is None:
            is_counted = node.op == "call_function" or (
                node.op == "placeholder" and node.name in self._counted
            )
            buffer = _Buffer(storage.nbytes() if is_counted else 0, at)
            self.born.setdefault(at, []).append(buffer)
        self._by_storage[key] = buffer
        return buffer


def _bases(node: Node) -> dict[int, Node]:
    """Return the arguments that outputs certainly alias, by position of the output."""
    if node.target in _LIFTS:
        return {0: node.all_input_nodes[0]}
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    written = dict(_written(node, schema))
    sets = enumerate(_sets_written(declared) for declared in schema.returns)
    return {at: written[name] for at, names in sets for name in names if name in written}


def _written(node: Node, schema: torch.FunctionSchema) -> Iterator[tuple[str, Node]]:
    for at, declared in enumerate(schema.arguments):
        given = node.args[at] if at < len(node.args) else node.kwargs.get(declared.name)
        if isinstance(given, Node):
            yield from ((name, given) for name in _sets_written(declared))


def _sets_written(declared: Any) -> frozenset[str]:
    info = declared.alias_info
    return frozenset(info.before_set) if info is not None and info.is_write else frozenset()
