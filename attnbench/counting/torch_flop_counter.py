"""Counts of torch.utils.flop_counter.FlopCounterMode."""

from __future__ import annotations

from collections import Counter

from torch import Tensor, nn

from attnbench.counting.forward_pass import on_copy
from attnbench.counting.raw_counts import RawCount, RawCounts
from attnbench.counting.recorder import Recorder

UNIT = "FLOPs, 2 per multiply-add of convolutions and matrix products; everything else 0"
_MISSED = "FlopCounterMode has no formula for this operator"


def count(model: nn.Module, input_size: tuple[int, ...]) -> RawCounts:
    """Count with FlopCounterMode on a copy of `model`."""
    return on_copy(model, input_size, _count)


def _count(model: nn.Module, image: Tensor) -> RawCounts:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with Recorder() as recorder, FlopCounterMode(display=False) as counter:
        model(image)
    counted = counter.get_flop_counts().get("Global", {})
    known = {packet.__name__ for packet in counter.flop_registry if hasattr(packet, "__name__")}
    raws = {packet.__name__: int(flops) for packet, flops in counted.items()}
    ours: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for op in recorder.ops:
        if op.macs:
            ours[op.name] += op.macs
            calls[op.name] += op.name not in known
    return RawCounts(
        name="torch",
        version=str(torch.__version__),
        unit=UNIT,
        factor=2,
        total=int(counter.get_total_flops()),
        rows=tuple(
            RawCount(name, raws.get(name, 0), ours[name], "" if name in known else _MISSED)
            for name in sorted(raws.keys() | ours.keys())
        ),
        unsupported={name: n for name, n in sorted(calls.items()) if n},
    )
