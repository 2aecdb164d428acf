"""A recorder of a running model: every aten operator, and the module call it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.counting.mac_rules import BIAS, FREE, NO_STATISTICS, RULES, Rule, Shape
from attnbench.counting.meta_shapes import fast_output
from attnbench.counting.uncounted_operators import packet_name, plain_name, tensors_of_unknown


@dataclass(frozen=True, slots=True)
class Op:
    """One executed aten operator.

    Attributes:
        name: packet name, ``"convolution"``, ``"add"``, ``"torchvision::nms"``.
        path: dotted path of the innermost running ``nn.Module``, ``""`` for the root.
        macs: multiply-adds, by `attnbench.counting.mac_rules`.
        activations: output elements of a convolution, linear layer or matrix product, else 0.
        bytes: bytes read and written: all tensor inputs and outputs; views are free.
        bias: output elements to which this operator adds a bias, else 0.
        elements: elements of the (first) output.
        unknown: sizes of the tensors of an operator whose MACs are unknown; None of any other.
    """

    name: str
    path: str
    macs: int
    activations: int
    bytes: int
    bias: int
    elements: int
    unknown: tuple[Shape, ...] | None = None


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
    unknown_from: int | None
    """Number of large tensors from which its MACs are unknown; None if they are known."""
    is_composite: bool
    """Flag of an operator without a rule that is made of others, which are recorded instead.

    torch decomposes most of them before, but none in inference mode.
    """


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that records the operators that run; `watch` adds a model's module calls.

    On the meta device, operators whose shape kernels are slow get their output from
    `attnbench.counting.meta_shapes`. A higher-order operator runs its functions under the recorder.
    """

    supports_higher_order_operators = True

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
        if isinstance(func, HigherOrderOperator):
            return self._run_functions(func, args, kwargs)
        if _kind(func).is_composite:
            with self:  # not func.decompose: in Python, it calls functions that ptflops patches
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        output = fast_output(func, args, kwargs)
        if output is NotImplemented:
            output = func(*args, **kwargs)
        self.ops.append(self._op(func, args, kwargs, output))
        return output

    def _run_functions(
        self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run a higher-order operator; itself it is recorded by its rule or if no part of it is."""
        before = len(self.ops)
        if _kind(func).rule is None:
            args = tuple(map(self._recorded, args))
        output = func(*args, **kwargs)
        if len(self.ops) == before:
            self.ops.append(self._op(func, args, kwargs, output))
        return output

    def _recorded(self, value: Any) -> Any:
        """Return a function that runs under this recorder; any other value is returned as it is."""
        if isinstance(value, Tensor) or not callable(value):
            return value

        def recorded(*args: Any, **kwargs: Any) -> Any:
            with self:
                return value(*args, **kwargs)

        return recorded

    def _op(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> Op:
        kind = _kind(func)
        first = _first(output)
        elements = 0 if first is None else first.numel()
        written = first if kind.name in NO_STATISTICS else output
        size = 0 if kind.is_free else _traffic(args, kwargs, written)
        if kind.rule is None or first is None or not all(map(_is_dense, args)):
            unknown = _unknown(kind, args, kwargs)
            return Op(kind.name, self._path, 0, 0, size, 0, elements, unknown)
        macs = kind.rule([_shapes(value) for value in args], tuple(first.shape))
        bias = elements if _adds_bias(kind, args, kwargs) else 0
        return Op(kind.name, self._path, macs, elements, size, bias, elements)


@cache
def _kind(func: Any) -> _Kind:
    name = packet_name(func)
    plain = plain_name(name)
    rule = RULES.get(plain)
    is_free = name in FREE or getattr(func, "is_view", False)
    # the sizes of a sparse operand say nothing of its products
    unknown_from = tensors_of_unknown(func) if rule is None else 2
    is_composite = rule is None and not is_free and _is_composite(func)
    return _Kind(name, is_free, rule, BIAS.get(plain), unknown_from, is_composite)


def _is_composite(func: Any) -> bool:
    if isinstance(func, HigherOrderOperator):
        return False
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE)


def _unknown(
    kind: _Kind, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Shape, ...] | None:
    """Return the sizes of the operands of a call whose MACs are unknown."""
    if kind.unknown_from is None:
        return None
    tensors = list(tensors_in((args, [value for name, value in kwargs.items() if name != "out"])))
    if sum(tensor.numel() > 1 for tensor in tensors) < kind.unknown_from:
        return None
    return tuple(tuple(tensor.shape) for tensor in tensors)


def _is_dense(value: Any) -> bool:
    return not isinstance(value, Tensor) or value.layout in _DENSE


def _shapes(value: Any) -> Any:
    """Return an argument with shapes in place of tensors."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, (tuple, list)) and any(isinstance(part, Tensor) for part in value):
        return [_shapes(part) for part in value]
    return value


_COMPOSITE = DispatchKey.CompositeImplicitAutograd
_DENSE = (torch.strided, torch._mkldnn)  # type: ignore[attr-defined]


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
    return next(tensors_in(output), None)


def _traffic(args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> int:
    named = [value for name, value in kwargs.items() if name != "out"]
    tensors = tensors_in((args, named, output))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of an operator's arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
