"""All counters of a model: our rules, fvcore, ptflops, and torch's own FlopCounterMode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from attnbench.counting import fvcore_counter, ptflops_counter
from attnbench.counting.forward_pass import on_copy
from attnbench.counting.reconcile import CounterReport, RawCount, RawCounts, reconcile
from attnbench.counting.recorder import Recorder
from attnbench.counting.trace import Trace
from attnbench.errors import CountingError

_UNIT = "MACs of convolutions, linear layers and matrix products; everything else 0"
_TORCH_UNIT = "FLOPs, 2 per multiply-add of convolutions and matrix products; everything else 0"
_MISSED = "FlopCounterMode has no formula for this operator"


def count_all(
    model: nn.Module, input_size: tuple[int, ...], trace: Trace
) -> dict[str, CounterReport]:
    """Run every counter on its own copy of `model` and reconcile it with `trace`."""
    reports = {"rules": _rules(trace)}
    for name, count in COUNTERS.items():
        try:
            reports[name] = reconcile(count(model, input_size), trace)
        except CountingError as error:
            reports[name] = CounterReport(raw=None, unit="", reason=str(error))
    return reports


def _rules(trace: Trace) -> CounterReport:
    # operators of a library other than torch: their computation is unknown
    foreign = Counter(op.name for op in trace.ops if "::" in op.name)
    macs, missed = trace.macs, dict(foreign)
    return CounterReport(macs, _UNIT, macs=macs, agree=not foreign, remainder=0, unsupported=missed)


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
