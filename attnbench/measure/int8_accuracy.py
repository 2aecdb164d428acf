"""Accuracy of a trained network after static quantization to int8, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from attnbench.datasets.dataset import Data, LabeledImages
from attnbench.runtimes.onnx_runtime import load_session, quantize, write_onnx
from attnbench.runtimes.runtime import RuntimeFailure, RuntimeSettings
from attnbench.runtimes.torch_export import capture_output
from attnbench.training.dataloader import Feed, feed
from attnbench.training.recipe import Recipe
from attnbench.utils.scratch import scratch_folder

BATCH = 64
CALIBRATION_BATCHES = 4
"""Number of batches of training images, not augmented, on which ranges are calibrated."""


def quantized_correct(
    model: nn.Module, recipe: Recipe, data: Data
) -> tuple[NDArray[np.bool_] | None, str | None]:
    """Return which test images the int8 form of a network classifies correctly, (N,), in order.

    Weights are quantized per channel, activations by the observed minimum and maximum, and batch
    norm is folded, as in the network that ``--precision int8`` times in ONNX Runtime.

    Returns:
        The correctness and None, or None and the reason why the network cannot be quantized.
    """
    test = feed(data.test, recipe)
    try:
        with scratch_folder() as folder, capture_output():
            path = folder / "network.onnx"
            inputs = list(islice(_batches(feed(_some(data.train), recipe)), CALIBRATION_BATCHES))
            write_onnx(model.float(), inputs[0], "fp32", path)
            quantize(path, inputs)
            return _correct(path, test), None
    except RuntimeFailure as error:
        return None, str(error)
    except Exception as error:  # the quantizer raises various types
        return None, f"ONNX Runtime's quantiser: {type(error).__name__}: {error}".splitlines()[0]


def _correct(path: Path, test: Feed) -> NDArray[np.bool_]:
    session = load_session(path, RuntimeSettings())
    name = session.get_inputs()[0].name
    outputs = [session.run(None, {name: images.numpy()})[0] for images in _batches(test)]
    targets = torch.cat([wanted for _, wanted in test.test()]).numpy()
    predictions = np.concatenate(outputs).argmax(1)[: len(targets)]
    correct: NDArray[np.bool_] = predictions == targets
    return correct


def _batches(of: Feed) -> Iterator[Tensor]:
    """Yield images in batches of one size, the last one padded."""
    waiting = torch.empty(0)
    for images, _ in of.test():
        images = images.contiguous()
        waiting = torch.cat([waiting, images]) if len(waiting) else images
        while len(waiting) >= BATCH:
            yield waiting[:BATCH]
            waiting = waiting[BATCH:]
    if len(waiting):
        missing = BATCH - len(waiting)
        yield functional.pad(waiting, (0, 0, 0, 0, 0, 0, 0, missing))


def _some(samples: LabeledImages) -> LabeledImages:
    """Return the first images of a split."""
    count = min(len(samples), BATCH * CALIBRATION_BATCHES)
    return LabeledImages(
        samples.targets[:count],
        samples.classes,
        samples.image,
        None if samples.stacked is None else samples.stacked[:count],
    )
