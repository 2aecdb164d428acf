"""An ONNX Runtime session on a CUDA device: input and output bound there, no copies, one stream.

Written from ONNX Runtime's documentation and tested on the processor with simulated streams; not
yet run on a real GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnbench.runtimes.runtime import RuntimeSettings

if TYPE_CHECKING:
    from torch import Tensor

    from attnbench.runtimes.exporting_runtime import Bound

PROVIDER = "CUDAExecutionProvider"
_NO_WAIT = "disable_synchronize_execution_providers"
"""Option of a run: it returns once the work is launched, as in torch."""


def cuda_provider(settings: RuntimeSettings, stream: Any = None) -> tuple[str, dict[str, str]]:
    """Return the provider of a CUDA device with its options: device, TF32, stream.

    Args:
        settings: the settings of the build.
        stream: a ``torch.cuda.Stream``; not the default one, whose address of zero is ignored.
    """
    options = {
        "device_id": str(torch.device(settings.device).index or 0),
        "use_tf32": str(int(settings.precision == "tf32")),
    }
    if stream is not None:
        options["user_compute_stream"] = str(stream.cuda_stream)
    return PROVIDER, options


def bind_on_device(
    session: Any,
    example: Tensor,
    device: torch.device,
    stream: Any,
    current_stream: Callable[[], Any],
) -> Bound:
    """Return the timed call, on tensors of the device, and the function of any input.

    Torch's stream waits for the session's and the other way round, so that events on torch's
    stream enclose the work, and nothing is read before it is there.

    Args:
        session: the session, which works on ``stream``.
        example: the input of the timed call, (B, C, H, W).
        device: the device.
        stream: the session's stream.
        current_stream: function that returns torch's current stream of the device.
    """
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry(_NO_WAIT, "1")

    def bind(x: Tensor) -> tuple[Any, Tensor, Tensor]:
        given = x.to(device).contiguous()
        target = session.get_outputs()[0]
        result = torch.empty(target.shape, device=device)
        binding = session.io_binding()
        source = session.get_inputs()[0].name
        for add, name, tensor in (
            (binding.bind_input, source, given),
            (binding.bind_output, target.name, result),
        ):
            where = (device.type, device.index or 0)
            add(name, *where, np.float32, list(tensor.shape), tensor.data_ptr())
        return binding, given, result

    def launch(binding: Any) -> None:
        current = current_stream()
        stream.wait_stream(current)
        session.run_with_iobinding(binding, options)
        current.wait_stream(stream)

    fixed = bind(example)  # keeps the tensors, which a binding does not

    def run() -> object:
        launch(fixed[0])
        return fixed[2]

    def output(x: Tensor) -> Tensor:
        binding, _, result = bind(x)
        launch(binding)
        return result.cpu()

    return run, output
