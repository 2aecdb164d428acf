"""Analytic cost of a model: parameters, MACs, activations, bytes, and other tools' counts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attnbench.counting import fvcore_counter, ptflops_counter
from attnbench.counting.forward_pass import checked_size, on_copy
from attnbench.counting.reconcile import CounterReport, RawCount, RawCounts, reconcile
from attnbench.counting.recorder import Recorder
from attnbench.counting.trace import Trace, Uncounted, trace
from attnbench.errors import CountingError, RequestError
from attnbench.utils.html_table import html_table
from attnbench.utils.keywords import name_keywords
from attnbench.utils.text import describe

if TYPE_CHECKING:
    from pandas import DataFrame

UNITS: Mapping[str, str] = {
    "params": "",
    "trainable": "",
    "macs": "MACs",
    "activations": "",
    "bytes": "B",
    "operators": "",
}
"""The counts of a cost, with their units."""
_UNIT = "MACs of convolutions, linear layers and matrix products; everything else 0"
_TORCH_UNIT = "FLOPs, 2 per multiply-add of convolutions and matrix products; everything else 0"
_MISSED = "FlopCounterMode has no formula for this operator"


class Cost:
    """The cost of one model for one image; all numbers are exact integers.

    Attributes:
        params: elements of all parameters, shared parameters once.
        trainable: elements of the parameters that require gradients.
        macs: multiply-adds of convolutions, linear layers and matrix products.
        activations: output elements of the same operators.
        bytes: bytes read and written by each operator on its own (unfused).
        operators: number of operators that move data; views are free.
        uncounted: operators whose MACs are unknown, each with ``operator``, ``calls`` and the
            ``sizes`` of its tensors; `macs` does not have theirs.
        trace: the counted forward pass, batch 1.
    """

    def __init__(self, model: nn.Module, input_size: tuple[int, ...]) -> None:
        for name, parameter in model.named_parameters():
            if is_lazy(parameter):
                raise CountingError(
                    f"{type(model).__name__} cannot be counted: parameter {name!r} is lazy and has"
                    " no size yet; run the model once first"
                )
        self.trace: Trace = trace(model, input_size)
        self.params: int = sum(p.numel() for p in model.parameters())
        self.trainable: int = sum(p.numel() for p in model.parameters() if p.requires_grad)
        totals = self.trace.totals
        self.macs, self.activations = totals.macs, totals.activations
        self.bytes, self.operators = totals.bytes, totals.operators
        self.uncounted = uncounted_json(self.trace.uncounted)
        self._model, self._input_size = model, input_size

    @cached_property
    def counters(self) -> Mapping[str, CounterReport]:
        """The reports of ``rules``, ``fvcore``, ``ptflops`` and ``torch``.

        The counters run (about a second) at the first access, on copies of the model at that time.
        """
        return count_all(self._model, self._input_size, self.trace)

    def to_dict(self, *, counters: bool = False) -> dict[str, Any]:
        """Return the JSON form of a cost; `counters` adds the other tools' reports."""
        values: dict[str, Any] = {"params": self.params, "trainable": self.trainable}
        values |= asdict(self.trace.totals) | {"uncounted": self.uncounted}
        if counters:
            values["counters"] = {name: r.to_dict() for name, r in self.counters.items()}
        return values

    def to_frame(self) -> "DataFrame":
        """Return a pandas frame with a row for each metric: ``metric``, ``value``, ``unit``."""
        from pandas import DataFrame

        return DataFrame(self._rows(), columns=["metric", "value", "unit"])

    def _rows(self) -> list[tuple[str, int, str]]:
        return [(name, getattr(self, name), unit) for name, unit in UNITS.items()]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:,}" for name, value, _ in self._rows())
        missed = f", uncounted={len(self.uncounted)}" if self.uncounted else ""
        return f"Cost({values}{missed}, input_size={self._input_size})"

    def _repr_html_(self) -> str:
        size = "x".join(map(str, self._input_size))
        notes = [
            f"MACs unknown: {found['operator']}, {found['calls']} calls" for found in self.uncounted
        ]
        return html_table(("metric", "value", "unit"), self._rows(), f"Cost at {size}", notes)


def uncounted_json(uncounted: Mapping[Uncounted, int]) -> list[dict[str, Any]]:
    """Return the JSON form of operators whose MACs are unknown."""
    return [found.to_dict(calls) for found, calls in sorted(uncounted.items())]


@name_keywords
def cost(model: nn.Module, input_size: Sequence[int] = (1, 3, 224, 224)) -> Cost:
    """Return the cost of `model` for one image, from shapes alone; the model is not changed.

    Args:
        model: any module that takes one floating tensor.
        input_size: shape of that tensor, the batch first; the numbers are for one image, whatever
            the batch size.

    Raises:
        CountingError: the model cannot run on that input.

    Example:
        >>> cost(torchvision.models.mobilenet_v2()).macs
        300774272
    """
    if not isinstance(model, nn.Module):
        raise RequestError(f"cost() needs a nn.Module: got {type(model).__name__}.")
    return Cost(model, (1, *checked_size(input_size)[1:]))


def count_all(
    model: nn.Module, input_size: tuple[int, ...], traced: Trace
) -> dict[str, CounterReport]:
    """Run every counter on its own copy of `model` and reconcile it with `traced`."""
    # operators of a library other than torch: their computation is unknown
    missed = Counter[str]()
    for found, calls in traced.uncounted.items():
        missed[found.operator] += calls
    macs, agree, unsupported = traced.macs, not missed, dict(missed)
    rules = CounterReport(macs, _UNIT, (), macs, agree, remainder=0, unsupported=unsupported)
    reports = {"rules": rules}
    for name, count in COUNTERS.items():
        try:
            reports[name] = reconcile(count(model, input_size), traced)
        except CountingError as error:
            # the forward pass was counted before, so that this failure is the counter's
            reason = describe(error.__cause__ or error)
            reports[name] = CounterReport(raw=None, unit="", reason=reason)
    return reports


def count_torch(model: nn.Module, input_size: tuple[int, ...]) -> RawCounts:
    """Count with FlopCounterMode on a copy of `model`."""
    return on_copy(model, input_size, _count_torch)


def _count_torch(model: nn.Module, image: Tensor) -> RawCounts:
    from torch.utils.flop_counter import FlopCounterMode

    with Recorder() as recorder, FlopCounterMode(display=False) as counter:
        model(image)
    counted = counter.get_flop_counts().get("Global", {})
    known = {packet.__name__ for packet in counter.flop_registry if hasattr(packet, "__name__")}
    raws = {packet.__name__: int(flops) for packet, flops in counted.items()}
    ours: Counter[str] = Counter()
    for op in recorder.ops:
        ours[op.name] += op.macs
    missed = Counter(op.name for op in recorder.ops if op.macs and op.name not in known)
    return RawCounts(
        version=str(torch.__version__),
        unit=_TORCH_UNIT,
        factor=2,
        total=int(counter.get_total_flops()),
        rows=tuple(
            RawCount(name, raws.get(name, 0), ours[name], "" if name in known else _MISSED)
            for name in sorted(raws.keys() | (+ours).keys())
        ),
        unsupported=dict(sorted(missed.items())),
    )


COUNTERS: Mapping[str, Callable[[nn.Module, tuple[int, ...]], RawCounts]] = {
    "fvcore": fvcore_counter.count,
    "ptflops": ptflops_counter.count,
    "torch": count_torch,
}
