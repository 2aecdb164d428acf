"""PyTorch in eager mode: one operator after the other, in either memory format."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.runtimes.runtime import BuiltModel, RuntimeBase, RuntimeSettings, check
from attnbench.runtimes.torch_export import eval_copy, failure

if TYPE_CHECKING:
    from torch import Tensor, nn


class Eager(RuntimeBase):
    """PyTorch, eager, in the default (NCHW) memory format."""

    name: ClassVar[str] = "eager"
    title: ClassVar[str] = "PyTorch eager"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "xpu", "mps")

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Return a copy of the model on the device; see :class:`Runtime`."""
        import torch

        check(self, settings)
        torch.set_num_threads(settings.threads)
        started = time.perf_counter()
        try:
            placed = prepare(model, settings, self.memory_format)
            return bind(placed, example, settings, self.memory_format, started)
        except Exception as error:
            raise failure(self.title, error) from error

    @property
    def memory_format(self) -> Any:
        """The memory format of weights and input."""
        import torch

        return torch.contiguous_format


class EagerChannelsLast(Eager):
    """PyTorch, eager, with channels innermost in memory, which its CPU convolutions prefer."""

    name: ClassVar[str] = "eager-channels-last"
    title: ClassVar[str] = "PyTorch eager, channels last"

    @property
    def memory_format(self) -> Any:
        """``torch.channels_last``, of weights and input."""
        import torch

        return torch.channels_last


def prepare(model: nn.Module, settings: RuntimeSettings, memory_format: Any) -> nn.Module:
    """Return a copy for inference in the given precision, device and memory format."""
    import torch

    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    return eval_copy(model).to(settings.device, dtype).to(memory_format=memory_format)


def bind(
    call: Any, example: Tensor, settings: RuntimeSettings, memory_format: Any, started: float
) -> BuiltModel:
    """Return a callable as :class:`BuiltModel`, bound to the example, after one call of it."""
    import torch

    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    infer = torch.inference_mode()

    def placed(x: Tensor) -> Tensor:
        with torch.inference_mode():  # guards of compiled code distinguish inference tensors
            return x.to(settings.device, dtype, copy=True).contiguous(memory_format=memory_format)

    @infer
    def output(x: Tensor) -> Tensor:
        result: Tensor = call(placed(x))
        return result.float().cpu().clone()

    fixed = placed(example)

    @infer
    def run() -> object:
        return call(fixed)

    output(example)
    return BuiltModel(run, output, export_s=None, load_s=time.perf_counter() - started)
