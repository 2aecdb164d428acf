"""Which tensors of an exported graph lie in the same memory, and from when to when it is live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree

# what makes a tensor out of a Python number; the number is a constant of the model
_LIFTS = (torch.ops.aten.lift_fresh_copy.default, torch.ops.aten.lift_fresh.default)


@dataclass(eq=False)
class Buffer:
    """One allocation; ``born`` and ``last`` are positions in the graph, both included."""

    bytes: int
    born: int
    last: int


class Buffers:
    """The allocations of a graph, each live from the node that makes it to its last user.

    Two tensors share a buffer if the fake tensors that export left in the graph share a storage:
    this is what the operator really did, where its schema says only what it may do (``reshape``
    is declared an alias even where it copies, ``dropout`` is not even where it returns its
    input). What the schema declares written to is its argument, whatever the storages say.
    """

    def __init__(self, nodes: Sequence[Node], counted: frozenset[object]) -> None:
        """Walk ``nodes`` once; placeholders that are not named in ``counted`` weigh nothing."""
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
        """Return the buffers that node ``at`` makes."""
        return self._born.get(at, ())

    def dead_after(self, at: int) -> Sequence[Buffer]:
        """Return the buffers whose last user is node ``at``."""
        return self._dead.get(at, ())

    def _all(self) -> Iterator[Buffer]:
        return (one for born in self._born.values() for one in born)

    def _visit(self, node: Node, at: int) -> None:
        for buffer in self._read(node.all_input_nodes):
            buffer.last = at
        outputs = pytree.tree_leaves(node.meta.get("val"))
        bases = _bases(node)
        self._of[node] = tuple(
            self._place(node, one, bases.get(i), at) for i, one in enumerate(outputs)
        )

    def _read(self, nodes: Iterable[Node]) -> Iterator[Buffer]:
        return (one for node in nodes for one in self._of[node] if one is not None)

    def _place(self, node: Node, output: object, base: Node | None, at: int) -> Buffer | None:
        """Return the buffer of one output: that of its base or its storage, or a new one."""
        if not isinstance(output, Tensor):
            return None
        storage = output.untyped_storage()
        key = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        known = self._of[base][0] if base else self._by_storage.get(key)
        if known is None:
            known = Buffer(storage.nbytes() if self._weighs(node) else 0, at, at)
            self._born.setdefault(at, []).append(known)
        self._by_storage[key] = known
        return known

    def _weighs(self, node: Node) -> bool:
        if node.op == "placeholder":
            return node.name in self._counted
        return node.op == "call_function"


def _bases(node: Node) -> dict[int, Node]:
    """Return the argument that an output surely is, by the output's position."""
    if node.target in _LIFTS:
        return {0: node.all_input_nodes[0]}
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    written = dict(_written(node, schema))
    sets = enumerate(_sets_written(one) for one in schema.returns)
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
