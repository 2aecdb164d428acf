"""A recorder of a running model: every aten operator, and the module call it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.mac_rules import BIAS, FREE, NO_STATISTICS, RULES, Rule, Shape
from attnbench.counting.meta_shapes import fast_output


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


@dataclass(slots=True)
class Call:
    """One call of an ``nn.Module``.

    Attributes:
        path: dotted path; a module used twice has two calls of the same path.
        kind: class name.
        inputs: shapes of the positional inputs, None for a non-tensor; tensors passed by
            keyword come after them.
        output: shape of the output, None if it is not one tensor, or if the call raised.
        first_op, last_op: half-open range into `Trace.ops`.
    """

    path: str
    kind: str
    inputs: tuple[Shape | None, ...]
    output: Shape | None
    first_op: int
    last_op: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """Properties of an operator that are known before it runs."""

    name: str
    is_free: bool
    rule: Rule | None
    bias_at: int | None


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that records the operators that run; `watch` adds a model's module calls.

    On the meta device, operators whose shape kernels are slow get their output from
    `attnbench.counting.meta_shapes`.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise the first operator imports all of dynamo (seconds)

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[Op] = []
        self.calls: list[Call] = []  # in the order in which they began
        self._path = ""

    def watch(self, model: nn.Module) -> None:
        """Record the calls of `model` (a private copy: its ``forward`` attributes are wrapped)."""
        for path, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):  # refuses new attributes
                module.__dict__["forward"] = self._watched(path, module)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Apply `watch` within the context to a model that is used again afterwards."""
        before = [(module, module.__dict__.get("forward")) for module in model.modules()]
        self.watch(model)
        try:
            yield
        finally:
            for module, forward in before:
                module.__dict__.pop("forward", None)
                if forward is not None:
                    module.__dict__["forward"] = forward

    def _watched(self, path: str, module: nn.Module) -> Callable[..., Any]:
        forward, kind = module.forward, type(module).__name__

        def watched(*args: Any, **kwargs: Any) -> Any:
            tensors = (*args, *(value for value in kwargs.values() if isinstance(value, Tensor)))
            at = len(self.ops)
            call = Call(path, kind, tuple(map(_shape, tensors)), None, at, at)
            self.calls.append(call)
            outer, self._path = self._path, path
            try:
                output = forward(*args, **kwargs)
                call.output = _shape(output)
                return output
            finally:  # a model may catch an exception of one of its parts and continue
                self._path = outer
                call.last_op = len(self.ops)

        watched.__wrapped__ = forward  # type: ignore[attr-defined]  # keeps the signature
        return watched

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        output = fast_output(func, args, kwargs)
        if output is NotImplemented:
            output = func(*args, **kwargs)
        self.ops.append(self._op(func, args, kwargs, output))
        return output

    def _op(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> Op:
        kind = _kind(func)
        first = _first(output)
        elements = 0 if first is None else first.numel()
        written = first if kind.name in NO_STATISTICS else output
        size = 0 if kind.is_free else _traffic(args, kwargs, written)
        if kind.rule is None or first is None:
            return Op(kind.name, self._path, 0, 0, size, 0, elements)
        shapes = [tuple(a.shape) if isinstance(a, Tensor) else a for a in args]
        macs = kind.rule(shapes, tuple(first.shape))
        bias = elements if _adds_bias(kind, args, kwargs) else 0
        return Op(kind.name, self._path, macs, elements, size, bias, elements)


@cache
def _kind(func: Any) -> _Kind:
    name = func._overloadpacket.__name__
    if func.namespace != "aten":
        name = f"{func.namespace}::{name}"
    return _Kind(name, name in FREE or func.is_view, RULES.get(name), BIAS.get(name))


def _adds_bias(kind: _Kind, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    at = kind.bias_at
    given = at is not None and at < len(args) and isinstance(args[at], Tensor)
    return given and kwargs.get("beta", 1) != 0


def _shape(value: Any) -> Shape | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _first(output: Any) -> Tensor | None:
    """Return the main result of an operator that may return more (statistics, indices)."""
    if isinstance(output, Tensor):
        return output
    return next(_tensors(output), None)


def _traffic(args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> int:
    named = [value for name, value in kwargs.items() if name != "out"]
    tensors = _tensors((args, named, output))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
