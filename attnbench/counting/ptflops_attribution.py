"""Attribution of each number of ptflops to operators of a pass.

A module hook fires right after its module ran, a patched function right before its operator
runs; so each number claims operators that our recorder saw. Numbers are split where ptflops's
own formula adds known extras (biases, scaling, softmax): the rest must equal our rules for the
claimed operators, or it stays unexplained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from attnbench.counting.reconcile import RawCount
from attnbench.counting.recorder import Recorder

_BIAS = "counts the addition of the bias, 1 per output element"
_ADDED = "counts the added operand, 1 per element"
_SCALING = "counts scaling, softmax and biases of attention"
_ELEMENTS = "has no multiply-adds of a product, yet counts 1 or more per element"
_TWICE = "matmuls inside are counted as patched functions and again in the module's formula"
_UNSUMMED = "a part of a module that ptflops counts as a whole; left out of its total"
_SHARED = "the module is found in several places and summed once for each"

_PRODUCTS = frozenset({"matmul", "mm", "bmm", "addmm", "baddbmm"})
_ATTENTION = frozenset({"MultiheadAttention", "Attention"})
_BIASED = frozenset(
    {"Linear", *(f"{kind}{n}d" for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3))}
)
_RECURRENT = frozenset({"DeformConv2d", "RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"})
_WITH_MACS = _ATTENTION | _BIASED | _RECURRENT


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    raw: int
    added: int
    at: int  # number of operators that ran before


@dataclass(frozen=True, slots=True)
class _Module:
    kind: str
    raw: int
    extras: int
    ops: range
    sums: int  # how often ptflops adds this module's number to its total


class PtflopsAttribution:
    """A collector of the numbers of ptflops during a pass, which afterwards assigns them."""

    def __init__(self, model: nn.Module, recorder: Recorder, kinds: Collection[type]) -> None:
        self._recorder = recorder
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._sums = Counter(id(module) for module in _summed(model, kinds))
        self._functions: list[_Function] = []
        self._modules: list[_Module] = []

    def function(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], raw: int
    ) -> None:
        """Record the number of a patched function that is about to run."""
        added = _added(name, args, kwargs)
        self._functions.append(_Function(name, raw, added, len(self._recorder.ops)))

    def module(self, kind: str, module: Any, inputs: Any, output: Any, raw: int) -> None:
        """Record the number of a module that has just run."""
        path = self._paths[id(module)]
        call = next(call for call in reversed(self._recorder.calls) if call.path == path)
        extras = _extras(kind, module, inputs, output)
        ops = range(call.first_op, call.last_op)
        self._modules.append(_Module(kind, raw, extras, ops, self._sums[id(module)]))

    def rows(self) -> tuple[RawCount, ...]:
        """Return every number with the count of our rules for the operators that it claims."""
        claimed: set[int] = set()
        rows = [row for function in self._functions for row in self._function(function, claimed)]
        patched = frozenset(claimed)
        for module in self._modules:
            rows.extend(self._module(module, claimed, patched))
        self._claimed = frozenset(claimed)
        return tuple(row for row in rows if row.raw or row.macs)

    def missed(self) -> dict[str, tuple[int, int]]:
        """Return (MACs, calls) of the unclaimed operators, by name; call `rows` first."""
        sums: dict[str, tuple[int, int]] = {}
        for at, op in enumerate(self._recorder.ops):
            if op.macs and at not in self._claimed:
                macs, calls = sums.get(op.name, (0, 0))
                sums[op.name] = (macs + op.macs, calls + 1)
        return sums

    def _function(self, function: _Function, claimed: set[int]) -> Iterator[RawCount]:
        if function.name not in _PRODUCTS:
            yield RawCount(function.name, function.raw, 0, _ELEMENTS)
            return
        ops = self._recorder.ops
        later = (at for at in range(function.at, len(ops)) if ops[at].macs and at not in claimed)
        at = next(later, None)
        claimed.update(() if at is None else (at,))
        macs = 0 if at is None else ops[at].macs
        yield RawCount(function.name, function.raw - function.added, macs)
        yield RawCount(f"{function.name} bias", function.added, 0, _ADDED)

    def _module(
        self, module: _Module, claimed: set[int], patched: Collection[int]
    ) -> Iterator[RawCount]:
        kind, raw = module.kind, module.raw
        if kind not in _WITH_MACS:
            yield RawCount(kind, raw * module.sums, 0, _ELEMENTS)
            return
        macs = {at: self._recorder.ops[at].macs for at in module.ops}
        fresh = sum(macs[at] for at in macs if at not in claimed)
        again = sum(macs[at] for at in macs if at in patched)
        claimed.update(macs)
        if not module.sums:
            yield RawCount(kind, 0, fresh, _UNSUMMED)
            return
        yield RawCount(kind, raw - module.extras - again, fresh)
        if kind in _BIASED:
            yield RawCount(f"{kind} bias", module.extras, 0, _BIAS)
        else:
            yield RawCount(f"{kind} scaling", module.extras, 0, _SCALING)
        yield RawCount(kind, again, 0, _TWICE)
        yield RawCount(kind, raw * (module.sums - 1), 0, _SHARED)


def _summed(module: nn.Module, kinds: Collection[type]) -> Iterator[nn.Module]:
    """Yield the modules whose numbers ptflops adds up, as often as it adds them."""
    if type(module) in kinds:
        yield module
    else:
        for child in module.children():
            yield from _summed(child, kinds)


def _added(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    if name not in ("addmm", "baddbmm") or kwargs.get("beta", 1) == 0:
        return 0
    first = args[0] if args else kwargs["input"]
    return int(first.numel())


def _extras(kind: str, module: Any, inputs: tuple[Any, ...], output: Any) -> int:
    """Return the elements that the formula of ptflops counts in addition to the products."""
    if kind in _BIASED:
        return 0 if module.bias is None else int(output.numel())
    if kind == "MultiheadAttention":
        return _multihead_extras(module, *inputs[:3])
    if kind == "Attention":
        batch, length, _ = inputs[0].shape
        return int(batch * module.num_heads * length * (module.head_dim + length))
    return 0


def _multihead_extras(module: Any, query: Tensor, key: Tensor, value: Tensor) -> int:
    batch_at, length_at = (0, 1) if module.batch_first else (1, 0)
    queries, keys, values = (part.shape[length_at] for part in (query, key, value))
    width = query.shape[2]
    scaling = queries * width
    biases = (queries + keys + values) * width if module.in_proj_bias is not None else 0
    softmax = module.num_heads * queries * keys
    return int(query.shape[batch_at] * (scaling + biases + softmax + queries * value.shape[2]))
