"""ExecuTorch with XNNPACK: the runtime of mobile phones, run on this machine."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.runtimes.exporting_runtime import ExportingRuntime, ExportNotes
from attnbench.runtimes.runtime import RuntimeFailure, RuntimeSettings
from attnbench.runtimes.torch_export import capture_output, export_program, failure

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from attnbench.runtimes.exporting_runtime import Bound


class ExecuTorch(ExportingRuntime):
    """ExecuTorch, XNNPACK delegate, portable kernels for the rest.

    The number of threads is global to the process: the last model built sets it.
    """

    name: ClassVar[str] = "executorch"
    title: ClassVar[str] = "ExecuTorch (XNNPACK)"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")
    packages: ClassVar[tuple[str, ...]] = ("executorch", "torchao", "torch")
    extra: ClassVar[str | None] = "executorch"
    suffix: ClassVar[str] = ".pte"

    def _write(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, path: Path
    ) -> ExportNotes:
        program = export_program(model, example)
        try:
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower

            if settings.precision == "int8":
                program = _quantize(program, example)
            edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
            report = _find_left_out(edge.exported_program().graph_module)
            path.write_bytes(edge.to_executorch().buffer)  # adds its own nodes to the graph
        except Exception as error:
            raise failure("ExecuTorch", error) from error
        return report

    def _load(self, path: Path, example: Tensor, settings: RuntimeSettings) -> tuple[Any, Any]:
        """Return the program, which owns the memory, and its method."""
        with capture_output() as captured_text:
            try:
                from executorch.extension.pybindings import portable_lib as lib

                if settings.precision == "int8":
                    import executorch.kernels.quantized  # noqa: F401 - registers its operators
                if lib._threadpool_get_thread_count() != settings.threads:
                    lib._unsafe_reset_threadpool(settings.threads)
                program = lib._load_program(str(path))
                return program, program.load_method("forward")
            except Exception as error:
                # reported on standard error only
                lacking = set(re.findall(r"Missing operator: \[\d+\] (\S+)", captured_text()))
                if lacking:
                    reason = f"ExecuTorch has no kernel for {', '.join(sorted(lacking))}"
                    raise RuntimeFailure(reason) from error
                raise failure("ExecuTorch", error) from error

    def _bind(self, session: tuple[Any, Any], example: Tensor) -> Bound:
        # the input is passed at every call: the program reuses its memory while it runs
        fixed = (example.clone(),)

        def output(x: Tensor) -> Tensor:
            result: Tensor = session[1].call((x.contiguous(),))[0]
            return result.float().clone()

        return lambda: session[1].call(fixed, clone_outputs=False), output


def _quantize(program: ExportedProgram, example: Tensor) -> ExportedProgram:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from attnbench.runtimes.sample_inputs import calibration_inputs

    quantizer = XNNPACKQuantizer().set_global(
        get_symmetric_quantization_config(is_per_channel=True)
    )
    prepared = prepare_pt2e(program.module(), quantizer)
    with torch.no_grad():
        for batch in calibration_inputs(example):
            prepared(batch)
        return torch.export.export(convert_pt2e(prepared), (example,))


def _find_left_out(graph_module: Any) -> ExportNotes:
    """Return the operators that XNNPACK did not delegate, and the number of its partitions."""
    left, partitions = Counter[str](), 0
    for node in graph_module.graph.nodes:
        if node.op != "call_function" or "getitem" in str(node.target):
            continue
        if "executorch_call_delegate" in str(node.target):
            partitions += 1
        else:
            left[f"{_operator(node.target)} not delegated"] += 1
    return ExportNotes(dict(left), (f"{partitions} partition{'s' * (partitions != 1)}",))


def _operator(target: Any) -> str:
    name = str(getattr(target, "_op", target))
    # a builtin is named only by its address, which differs between processes
    return "a Python builtin" if name.startswith("<built-in") else name.removesuffix(".default")
