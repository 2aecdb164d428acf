"""Accuracy of a trained network after static quantisation to int8, in ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from attnbench.datasets.dataset import Data, LabeledImages
from attnbench.runtimes.capture_output import silenced
from attnbench.runtimes.onnx_quantization import quantise
from attnbench.runtimes.onnx_runtime import session_of, write_onnx
from attnbench.runtimes.runtime import RuntimeFailure
from attnbench.training.dataloader import Feed, feed
from attnbench.training.recipe import Recipe

BATCH = 64
CALIBRATION_BATCHES = 4
"""Of training images, not augmented, on which ranges are observed."""


def quantised_correct(
    model: nn.Module, recipe: Recipe, data: Data
) -> tuple[NDArray[np.bool_] | None, str | None]:
    """Return which test images the int8 form of a network classifies right, (N,), in order.

    Weights per channel, activations by the smallest and largest value seen, batch norm folded: what
    ``--precision int8`` times in ONNX Runtime.

    Returns:
        The answers and None, or None and why the network cannot be quantised.
    """
    test = feed(data.test, recipe)
    try:
        with tempfile.TemporaryDirectory(prefix="attnbench-") as folder, silenced():
            path = Path(folder) / "network.onnx"
            inputs = list(islice(_batches(feed(_some(data.train), recipe)), CALIBRATION_BATCHES))
            write_onnx(model.float(), inputs[0], "fp32", path)
            quantise(path, inputs[0], inputs)
            return _correct(path, test), None
    except RuntimeFailure as error:
        return None, str(error)
    except Exception as error:  # the quantiser's, of whatever type
        return None, f"ONNX Runtime's quantiser: {type(error).__name__}: {error}".splitlines()[0]


def _correct(path: Path, test: Feed) -> NDArray[np.bool_]:
    session = session_of(path)
    name = session.get_inputs()[0].name
    outputs = [session.run(None, {name: images.numpy()})[0] for images in _batches(test)]
    targets = torch.cat([wanted for _, wanted in test.test()]).numpy()
    answers = np.concatenate(outputs).argmax(1)[: len(targets)]
    found: NDArray[np.bool_] = answers == targets
    return found


def _batches(of: Feed) -> Iterator[Tensor]:
    """Yield images in batches of one size, the last one filled up."""
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
