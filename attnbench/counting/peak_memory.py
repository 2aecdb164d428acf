"""The analytic peak of live activations of one inference, from the exported graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from attnbench.counting.buffers import Buffers
from attnbench.counting.forward_pass import quiet_pass
from attnbench.counting.model_copies import real_copy, shape_copy
from attnbench.errors import CountingError, RequestError

__all__ = ["Peak", "peak", "peak_activations"]


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


def peak_activations(model: nn.Module, example: Tensor) -> int:
    """Return the bytes of :func:`peak`."""
    return peak(model, example).bytes


def peak(model: nn.Module, example: Tensor) -> Peak:
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
            f"peak takes a nn.Module and a tensor, not a {type(model).__name__} and a "
            f"{type(example).__name__}"
        )
    return _peak_of(_exported(model, example))


def _exported(model: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Export a copy on the CPU: autocast depends on the device, so meta would differ."""
    is_meta = any(p.is_meta for p in model.parameters())  # no values: shapes must suffice
    try:
        copied = shape_copy(model) if is_meta else real_copy(model)
        image = torch.empty_like(example, device="meta" if is_meta else "cpu")
        with quiet_pass():
            return torch.export.export(copied, (image,), strict=False)
    except (Exception, SystemExit) as error:  # any failure of the model's code
        raise _failure(model, example, error) from error


def _failure(model: nn.Module, example: Tensor, error: BaseException) -> CountingError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return CountingError(
        f"{type(model).__name__} has no analytic peak memory: torch.export on an input of size "
        f"{tuple(example.shape)} failed with {type(error).__name__}: "
        f"{lines[0] if lines else 'no message'}"
    )


def _peak_of(program: torch.export.ExportedProgram) -> Peak:
    counted = set(program.graph_signature.user_inputs)
    size, at = _sweep(program.graph_module, counted)
    return Peak(size, str(at.target) if at.op == "call_function" else at.op, _path(at))


def _sweep(graph: GraphModule, counted: Iterable[object]) -> tuple[int, Node]:
    """Return the largest sum of live bytes over the nodes of a graph, and the first such node."""
    nodes = list(graph.graph.nodes)
    buffers = Buffers(nodes, frozenset(counted))
    live, best, where = 0, -1, nodes[-1]
    for at, node in enumerate(nodes):
        live += sum(buffer.bytes for buffer in buffers.born_at(at))
        # inputs exist before the first operator, but only an operator can be the peak
        if node.op not in ("placeholder", "get_attr"):
            inside = live + _beyond_outputs(graph, node, buffers, at)
            if inside > best:
                best, where = inside, node
        live -= sum(buffer.bytes for buffer in buffers.dead_after(at))
    return best, where


def _beyond_outputs(graph: GraphModule, node: Node, buffers: Buffers, at: int) -> int:
    """Return the bytes beyond its outputs that a node with subgraphs (a branch, autocast) holds."""
    inputs = (source for source in node.all_input_nodes if source.op == "get_attr")
    parts = [getattr(graph, str(source.target)) for source in inputs]
    within = [_sweep(part, ())[0] for part in parts if isinstance(part, GraphModule)]
    outputs = sum(buffer.bytes for buffer in buffers.born_at(at))
    return max(0, max(within, default=0) - outputs)


def _path(node: Node) -> str:
    """Return the path of the innermost module in which a node was traced."""
    stack = node.meta.get("nn_module_stack") or {}
    return next((str(path) for path, _ in reversed(list(stack.values()))), "")
