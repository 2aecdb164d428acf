"""Counts of ptflops.get_model_complexity_info with its default backend.

The backend uses module hooks and patched functions and reports only a total. To split the total,
the entries of its three tables are wrapped while our recorder watches the same pass: each number
that an entry returns then belongs to known operators of that pass, and the operators that no entry
covered are those that ptflops missed.

A module hook fires right after its module ran, a patched function right before its operator
runs; so each number claims operators that our recorder saw. Numbers are split where ptflops's own
formula adds known extras (biases, scaling, softmax): the rest must equal our rules for the claimed
operators, or it stays unexplained.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.counting.forward_pass import on_real_copy
from attnbench.counting.reconcile import RawCount, RawCounts
from attnbench.counting.recorder import Recorder

UNIT = (
    "MACs of convolution, linear and attention modules and of patched matmul functions, plus 1 per"
    " element of biases, activations, poolings and patched element-wise functions, 2 of norms"
)
_MISSED = "ran outside the module types and functions that ptflops watches"
_BIAS = "counts the addition of the bias, 1 per output element"
_ADDED = "counts the added operand, 1 per element"
_SCALING = "counts scaling, softmax and biases of attention"
_GATES = "counts biases, gates and states, element by element"
_SAMPLING = "counts the sampling of a deformable convolution, 24 or 25 per kernel position"
_PROJECTION = "leaves out the projection of the hidden state"
_UNBATCHED = "takes the features of a sequence without a batch for its steps"
_ELEMENTS = "has no multiply-adds of a product, yet counts 1 or more per element"
_TWICE = "matmuls inside are counted as patched functions and again in the module's formula"
_UNSUMMED = "a part of a module that ptflops counts as a whole; left out of its total"
_SHARED = "the module is found in several places and summed once for each"

_PRODUCTS = frozenset({"matmul", "mm", "bmm", "addmm", "baddbmm"})
_ATTENTION = frozenset({"MultiheadAttention", "Attention"})
_BIASED = frozenset(
    {"Linear", *(f"{kind}{n}d" for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3))}
)
_STATE_ELEMENTS = {"RNN": 1, "GRU": 7, "LSTM": 10}
"""Elements of the hidden state that each step of a recurrent layer adds or multiplies."""
_RECURRENT = frozenset({*_STATE_ELEMENTS, *(f"{kind}Cell" for kind in _STATE_ELEMENTS)})
_WITH_MACS = _ATTENTION | _BIASED | _RECURRENT | {"DeformConv2d"}
_EXTRA_PARTS = {
    **dict.fromkeys(_BIASED, ("bias", _BIAS)),
    **dict.fromkeys(_ATTENTION, ("scaling", _SCALING)),
    **dict.fromkeys(_RECURRENT, ("gates", _GATES)),
    "DeformConv2d": ("sampling", _SAMPLING),
}


def count(model: nn.Module, input_size: tuple[int, ...]) -> RawCounts:
    """Count with ptflops on a real CPU copy of `model`.

    On the meta device torch computes shapes in Python, through functions that ptflops patches;
    ptflops would count those as well.
    """
    return on_real_copy(model, input_size, _count)


def _count(model: nn.Module, image: Tensor) -> RawCounts:
    recorder = Recorder()
    recorder.watch(model)
    with _tables() as (modules, functions, products):
        claims = PtflopsAttribution(model, recorder, modules.keys())
        for kind, hook in modules.items():
            modules[kind] = _beside_hook(claims, kind.__name__, hook)
        for table, prefix in ((functions, "F."), (products, "")):
            for function, formula in table.items():
                name = f"{prefix}{function.__name__}"
                table[function] = _beside_formula(claims, name, formula)
        total = _total(model, image, recorder)
    rows = claims.rows()
    missed = claims.find_missed()
    return RawCounts(
        version=version("ptflops"),
        unit=UNIT,
        total=total,
        rows=(*rows, *(RawCount(name, 0, macs, _MISSED) for name, (macs, _) in missed.items())),
        unsupported={name: calls for name, (_, calls) in missed.items()},
    )


def _total(model: nn.Module, image: Tensor, recorder: Recorder) -> int:
    from ptflops import get_model_complexity_info

    count_all: Callable[..., tuple[Any, Any]] = get_model_complexity_info
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(io.StringIO()), recorder:
        total, _ = count_all(
            model,
            tuple(image.shape[1:]),
            print_per_layer_stat=False,
            as_strings=False,
            # by default memory that was never set, whose NaN end Python in deform_conv2d
            input_constructor=lambda _: image,
        )
    if total is None:  # ptflops prints the error and continues
        raise RuntimeError(printed.getvalue().partition("exception:")[2].strip())
    return int(total)


_Table = MutableMapping[Any, Callable[..., Any]]


@contextmanager
def _tables() -> Iterator[tuple[_Table, _Table, _Table]]:
    """Yield the tables of ptflops (modules, functions, products); restore all afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ptflops import pytorch_ops as tables

        kept = (tables.MODULES_MAPPING, tables.FUNCTIONAL_MAPPING, tables.TENSOR_OPS_MAPPING)
        before = [dict(table) for table in kept]
        functions, products = ([f.__name__ for f in table] for table in kept[1:])
        with _restored(F, functions), _restored(torch, products), _restored(Tensor, products):
            try:
                yield kept
            finally:
                for table, entries in zip(kept, before, strict=True):
                    table.update(entries)


@contextmanager
def _restored(namespace: Any, names: Collection[str]) -> Iterator[None]:
    """Restore the attributes afterwards; ptflops leaves inherited methods behind as own ones."""
    before = {name: vars(namespace)[name] for name in names if name in vars(namespace)}
    try:
        yield
    finally:
        for name in names:
            if name in before:
                setattr(namespace, name, before[name])
            elif name in vars(namespace):
                delattr(namespace, name)


def _beside_hook(
    claims: PtflopsAttribution, kind: str, hook: Callable[..., None]
) -> Callable[..., None]:
    def counted(module: Any, inputs: Any, output: Any) -> None:
        before = module.__flops__
        hook(module, inputs, output)
        claims.module(kind, module, inputs, output, int(module.__flops__ - before))

    return counted


def _beside_formula(
    claims: PtflopsAttribution, name: str, formula: Callable[..., Any]
) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        raw = formula(*args, **kwargs)
        claims.function(name, args, kwargs, int(raw))
        return raw

    return counted


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
    projection: int
    is_unbatched: bool
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
        projection = _projection(kind, module, inputs)
        is_unbatched = kind in _STATE_ELEMENTS and inputs[0].dim() == 2
        ops, sums = range(call.first_op, call.last_op), self._sums[id(module)]
        self._modules.append(_Module(kind, raw, extras, projection, is_unbatched, ops, sums))

    def rows(self) -> tuple[RawCount, ...]:
        """Return every number with the count of our rules for the operators that it claims."""
        claimed: set[int] = set()
        rows = [row for function in self._functions for row in self._function(function, claimed)]
        patched = frozenset(claimed)
        for module in self._modules:
            rows.extend(self._module(module, claimed, patched))
        self._claimed = frozenset(claimed)
        return tuple(row for row in rows if row.raw or row.macs)

    def find_missed(self) -> dict[str, tuple[int, int]]:
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
        why = _UNBATCHED if module.is_unbatched else ""
        yield RawCount(kind, raw - module.extras - again, fresh - module.projection, why)
        yield RawCount(f"{kind} projection", 0, module.projection, _PROJECTION)
        part, why = _EXTRA_PARTS[kind]
        yield RawCount(f"{kind} {part}", module.extras, 0, why)
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
    if kind in _RECURRENT:
        return _recurrent_extras(kind.removesuffix("Cell"), module, inputs[0].shape)
    if kind == "DeformConv2d":
        return _deformable_extras(module, inputs, output)
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


def _recurrent_extras(kind: str, module: Any, sequence: Sequence[int]) -> int:
    """Return the elements counted for the biases, gates and states of a layer or a cell."""
    layers = getattr(module, "num_layers", 0)
    # ptflops takes the second axis for the steps, also where there is no batch
    steps = sequence[0] * (sequence[1] if layers else 1)
    directions = 2 if getattr(module, "bidirectional", False) else 1
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    biases = 2 * gates * module.hidden_size if module.bias else 0
    states = _STATE_ELEMENTS[kind] * module.hidden_size
    return int((layers or 1) * directions * steps * (states + biases))


def _projection(kind: str, module: Any, inputs: tuple[Any, ...]) -> int:
    """Return the MACs of the projections of an LSTM's hidden states."""
    size = getattr(module, "proj_size", 0) if kind == "LSTM" else 0
    if not size:
        return 0
    steps = inputs[0].numel() // inputs[0].shape[-1]
    directions = 2 if module.bidirectional else 1
    return int(module.num_layers * directions * steps * size * module.hidden_size)


def _deformable_extras(module: Any, inputs: tuple[Any, ...], output: Tensor) -> int:
    """Return the elements counted for sampling, modulation and bias."""
    each = 25 if len(inputs) == 3 and inputs[2] is not None else 24
    positions = output.numel() // output.shape[1]
    sampling = each * positions * prod(module.kernel_size)
    return int(sampling + (0 if module.bias is None else output.numel()))
