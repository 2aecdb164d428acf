"""Allocations of an exported graph: the tensors that share each, and its live range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree

# operators that turn a Python number, a constant of the model, into a tensor
_LIFTS = (torch.ops.aten.lift_fresh_copy.default, torch.ops.aten.lift_fresh.default)


@dataclass(eq=False)
class Buffer:
    """One allocation; ``born`` and ``last`` are positions in the graph, both included."""

    bytes: int
    born: int
    last: int


class Buffers:
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
        self._of: dict[Node, tuple[Buffer | None, ...]] = {}
        self._by_storage: dict[StorageWeakRef, Buffer] = {}
        self._born: dict[int, list[Buffer]] = {}
        for at, node in enumerate(nodes):
            self._visit(node, at)
        self._dead: dict[int, list[Buffer]] = {}
        for buffer in self._all():
            self._dead.setdefault(buffer.last, []).append(buffer)

    def born_at(self, at: int) -> Sequence[Buffer]:
        """Return the buffers that node ``at`` creates."""
        return self._born.get(at, ())

    def dead_after(self, at: int) -> Sequence[Buffer]:
        """Return the buffers whose last user is node ``at``."""
        return self._dead.get(at, ())

    def _all(self) -> Iterator[Buffer]:
        return (buffer for born in self._born.values() for buffer in born)

    def _visit(self, node: Node, at: int) -> None:
        for buffer in self._read(node.all_input_nodes):
            buffer.last = at
        outputs = pytree.tree_leaves(node.meta.get("val"))
        bases = _bases(node)
        self._of[node] = tuple(
            self._place(node, output, bases.get(i), at) for i, output in enumerate(outputs)
        )

    def _read(self, nodes: Iterable[Node]) -> Iterator[Buffer]:
        return (buffer for node in nodes for buffer in self._of[node] if buffer is not None)

    def _place(self, node: Node, output: object, base: Node | None, at: int) -> Buffer | None:
        """Return the buffer of one output: the buffer of its base or its storage, or a new one."""
        if not isinstance(output, Tensor):
            return None
        storage = output.untyped_storage()
        key = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        buffer = self._of[base][0] if base else self._by_storage.get(key)
        if buffer is None:
            buffer = Buffer(storage.nbytes() if self._is_counted(node) else 0, at, at)
            self._born.setdefault(at, []).append(buffer)
        self._by_storage[key] = buffer
        return buffer

    def _is_counted(self, node: Node) -> bool:
        if node.op == "placeholder":
            return node.name in self._counted
        return node.op == "call_function"


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
    """Yield the alias set of each tensor argument that is written to, and the argument."""
    for at, declared in enumerate(schema.arguments):
        given = node.args[at] if at < len(node.args) else node.kwargs.get(declared.name)
        if isinstance(given, Node):
            yield from ((name, given) for name in _sets_written(declared))


def _sets_written(declared: Any) -> frozenset[str]:
    info = declared.alias_info
    return frozenset(info.before_set) if info is not None and info.is_write else frozenset()
