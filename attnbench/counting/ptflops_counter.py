"""Counts of ptflops.get_model_complexity_info with its default backend.

The backend uses module hooks and patched functions and reports only a total. To split the total,
the entries of its three tables are wrapped while our recorder watches the same pass: each number
that an entry returns then belongs to known operators of that pass, and the operators that no entry
covered are those that ptflops missed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Collection, Iterator, MutableMapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.counting.forward_pass import on_real_copy
from attnbench.counting.ptflops_attribution import PtflopsAttribution
from attnbench.counting.reconcile import RawCount, RawCounts
from attnbench.counting.recorder import Recorder

UNIT = (
    "MACs of convolution, linear and attention modules and of patched matmul functions, plus 1 per"
    " element of biases, activations, poolings and patched element-wise functions, 2 of norms"
)
_MISSED = "ran outside the module types and functions that ptflops watches"


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
    missed = claims.missed()
    return RawCounts(
        version=version("ptflops"),
        unit=UNIT,
        total=total,
        rows=(*rows, *(RawCount(name, 0, macs, _MISSED) for name, (macs, _) in missed.items())),
        unsupported={name: calls for name, (_, calls) in missed.items()},
    )


def _total(model: nn.Module, image: Tensor, recorder: Recorder) -> int:
    from ptflops import get_model_complexity_info

    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(io.StringIO()), recorder:
        total, _ = get_model_complexity_info(
            model, tuple(image.shape[1:]), print_per_layer_stat=False, as_strings=False
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
