"""PyTorch in eager mode: one operator after the other, in either memory format."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.runtimes.runtime import BuiltModel, RuntimeBase, RuntimeSettings, check
from attnbench.runtimes.torch_export import eval_copy, failure

if TYPE_CHECKING:
    from torch import Tensor, nn


_DTYPES = {"bf16": "bfloat16", "fp16": "float16"}
"""Names in ``torch`` of the dtypes of reduced precisions; all others compute in float32."""


class Eager(RuntimeBase):
    """PyTorch, eager, in the default (NCHW) memory format."""

    name: ClassVar[str] = "eager"
    title: ClassVar[str] = "PyTorch eager"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "tf32", "bf16", "fp16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "xpu", "mps")

    memory_format: ClassVar[str] = "contiguous_format"
    """Name in ``torch`` of the memory format of weights and input."""

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Build a copy of the model on the device; see :class:`Runtime`."""
        import torch

        check(self, settings)
        torch.set_num_threads(settings.threads)  # Inductor writes their number into the code
        try:
            return self._build(model, example, settings)
        except Exception as error:
            raise failure(self.title, error) from error

    def _build(self, model: nn.Module, example: Tensor, settings: RuntimeSettings) -> BuiltModel:
        import torch

        started = time.perf_counter()
        layout = getattr(torch, self.memory_format)
        dtype: torch.dtype = getattr(torch, _DTYPES.get(settings.precision, "float32"))
        placed = eval_copy(model).to(settings.device, dtype).to(memory_format=layout)
        call, infer = self._compile(placed, settings), torch.inference_mode()

        def place(x: Tensor) -> Tensor:
            with torch.inference_mode():  # guards of compiled code distinguish inference tensors
                return x.to(settings.device, dtype, copy=True).contiguous(memory_format=layout)

        @infer
        def output(x: Tensor) -> Tensor:
            result: Tensor = call(place(x))
            return result.float().cpu().clone()

        fixed = place(example)

        @infer
        def run() -> object:
            return call(fixed)

        output(example)
        load_s = time.perf_counter() - started
        return BuiltModel(run, output, None, load_s, allocates_in_torch=True)

    def _compile(self, model: nn.Module, settings: RuntimeSettings) -> Callable[..., Any]:
        return model


class EagerChannelsLast(Eager):
    """PyTorch, eager, with channels innermost in memory, which its CPU convolutions prefer."""

    name: ClassVar[str] = "eager-channels-last"
    title: ClassVar[str] = "PyTorch eager, channels last"
    memory_format: ClassVar[str] = "channels_last"
