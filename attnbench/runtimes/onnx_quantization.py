"""Static post-training quantisation of an ONNX model, in the QDQ form that every runtime reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.runtimes.sample_inputs import examples

if TYPE_CHECKING:
    from torch import Tensor

CALIBRATION_IMAGES = 16
CALIBRATION_SEED = 1
"""Random seed of the calibration images, different from that of the check's inputs."""


def calibration(example: Tensor) -> list[Tensor]:
    """Return the calibration inputs, on which activation ranges are observed."""
    return examples(example, CALIBRATION_IMAGES, CALIBRATION_SEED)


def quantise(path: Path, example: Tensor, inputs: list[Tensor] | None = None) -> None:
    """Quantise an ONNX file in place: weights per channel, activations by min-max calibration.

    Args:
        path: the file.
        example: an input of its shape.
        inputs: the calibration inputs, of the same shape; photographs by default.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(path, load_external_data=False).graph.input[0].name
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        path,
        _reader(name, calibration(example) if inputs is None else inputs),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def _reader(name: str, inputs: list[Tensor]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(inputs)

        # None ends the data, although the base class declares otherwise
        def get_next(self) -> Any:
            batch = next(self.left, None)
            return None if batch is None else {name: batch.numpy()}

    return Reader()
