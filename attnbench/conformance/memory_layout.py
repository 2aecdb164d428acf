"""Memory checks: channels_last is kept, and all tensors are on the device of the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.conformance.findings import Finding, failure, note
from attnbench.conformance.module_under_test import Subject, relative_error, run
from attnbench.runtimes.torch_export import root_cause

_TOLERANCE = 1e-4
_NAMES = {torch.contiguous_format: "contiguous", torch.channels_last: "channels_last"}
_KEPT = (
    "Cut and join dimension 1 alone (torch.unflatten, chunk, cat over 1) instead of view, permute "
    "or reshape followed by contiguous(), and multiply the input by the gate, not the gate by it."
)
_DATA_DEPENDENT = ("cannot be called on meta", "data-dependent", "_local_scalar_dense", "nonzero")
"""Texts of errors from data-dependent operations on the meta device."""


def memory_layout(subject: Subject) -> Iterator[Finding]:
    """Run both layouts in eval and training, with the module unconverted and converted."""
    for mode in ("eval", "training"):
        for layout in _NAMES:
            for converted in (False, True)[: 1 + (layout is torch.channels_last)]:
                found = list(_in_layout(subject, mode, layout, converted))
                yield from found
                if found:
                    return  # the other modes would report the same


def device(subject: Subject) -> Iterator[Finding]:
    """Run on the meta device, which rejects tensors of other devices, and on CUDA."""
    for mode in (False, True):
        try:
            module = subject.build().to("meta").train(mode)
            y = module(subject.maps().to("meta"))
        except Exception as error:
            yield _misplaced(error)
            return
        if y.device.type != "meta":
            yield failure(
                f"a map on one device comes out on {y.device}",
                "Move nothing in forward: the caller places the module and its input.",
            )
            return
    if torch.cuda.is_available():
        yield from _on_cuda(subject)


def _in_layout(
    subject: Subject, mode: str, layout: torch.memory_format, converted: bool
) -> Iterator[Finding]:
    x = subject.maps()
    wanted = _output(_prepared(subject, mode), x)
    name = _NAMES[layout]
    what = f"in {mode}, itself converted, " if converted else f"in {mode}, "
    try:
        module = _prepared(subject, mode)
        if converted:
            module.to(memory_format=layout)
        given = x.contiguous(memory_format=layout)
        with _Losses(x.shape) as losses:
            found = _output(module, given)
    except Exception as error:
        yield failure(
            f"{what}a {name} map raises {root_cause(error)}",
            "Use reshape or flatten where view needs one layout, and no parameters of 5 axes.",
        )
        return
    if not _is(found, layout):
        by = f", lost by {losses.first}" if losses.first else ""
        yield failure(f"{what}a {name} map comes out in another layout{by}", _KEPT)
    elif (off := relative_error(found, wanted)) > _TOLERANCE and torch.equal(
        wanted,
        run(_prepared(subject, mode), x),  # a random output depends on the layout
    ):
        yield failure(
            f"{what}a {name} map gives another output, off by {off:.1e} of the largest value",
            "Read positions by their index, never by their order in memory (as_strided, storage).",
            error=off,
        )


def _prepared(subject: Subject, mode: str) -> nn.Module:
    """Return the module in a mode, without dropout, whose mask depends on the layout."""
    module = subject.build().train(mode == "training")
    for layer in module.modules():
        if isinstance(layer, _DropoutNd):
            layer.eval()
    return module


def _output(module: nn.Module, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return run(module, x)


def _is(x: Tensor, layout: torch.memory_format) -> bool:
    return x.is_contiguous(memory_format=layout)


class _Losses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Recorder of the first operator that loses the channels_last format of a map."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shape = shape
        self.first = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        maps = [tensor for tensor in _tensors(args) if self._is_map(tensor)]
        lost = self._is_map(result) and not _is(result, torch.channels_last)
        if not self.first and lost and any(_is(tensor, torch.channels_last) for tensor in maps):
            self.first = str(func.overloadpacket).replace("aten.clone", "contiguous() or reshape")
        return result

    def _is_map(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dim() == 4 and x.numel() == self.shape.numel()


def _tensors(args: Any) -> list[Any]:
    return [value for arg in args for value in (arg if isinstance(arg, list | tuple) else [arg])]


def _misplaced(error: Exception) -> Finding:
    why = root_cause(error)
    if any(text in str(error) for text in _DATA_DEPENDENT):
        return failure(
            f"its forward looks at values: {why}",
            "Decide by shapes, not by values (.item(), if tensor, nonzero): they stop a device, "
            "and no graph can hold them.",
        )
    if isinstance(error, NotImplementedError):
        return note(
            f"it cannot be run on shapes alone: {why}",
            "Register a fake (meta) kernel of the operator.",
        )
    return failure(
        f"does not follow its input's device: {why}",
        "Make tensors with device=x.device or x.new_zeros, register the ones of the constructor "
        "as buffers, and call neither .cuda() nor .cpu().",
    )


def _on_cuda(subject: Subject) -> Iterator[Finding]:
    x = subject.maps()
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        wanted = subject.build().eval()(x)
        found = subject.build().cuda().eval()(x.cuda()).cpu()
    error = relative_error(found, wanted)
    if error > _TOLERANCE:
        yield failure(
            f"on CUDA the output is off by {error:.1e} of its largest value from the processor's",
            "Look for tensors made in forward and for operators without a fixed order.",
            error=error,
        )
