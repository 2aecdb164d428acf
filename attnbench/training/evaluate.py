"""Accuracy of a trained network on a test set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_accuracy

from attnbench.errors import AttnbenchError
from attnbench.training.dataloader import Feed


class Diverged(AttnbenchError):  # noqa: N818 - the name states the result
    """Error of a training run whose loss or output became infinite or NaN."""


@dataclass(frozen=True)
class Score:
    """The accuracies of a network in percent."""

    top1: float
    top5: float | None
    """Top-5 accuracy; None with fewer than six classes, where it would be 100."""
    correct: NDArray[np.bool_]
    """Flags of correct top-1 classification, (N,), one for each test image in order."""


def score_of(logits: Tensor, targets: Tensor, classes: int) -> Score:
    """Return the score of (N, classes) logits.

    Raises:
        Diverged: a logit is not finite.
    """
    if not bool(torch.isfinite(logits).all()):
        raise Diverged("the trained network's output is not finite on test images")
    correct = logits.argmax(1) == targets
    top5 = None
    if classes > 5:
        share = float(multiclass_accuracy(logits, targets, classes, top_k=5, average="micro"))
        top5 = 100.0 * round(share * len(targets)) / len(targets)
    return Score(100.0 * int(correct.sum()) / len(targets), top5, correct.numpy())


@torch.inference_mode()
def predict(model: nn.Module, feed: Feed) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) and targets (N,) on the CPU; set the evaluation mode.

    Args:
        model: the network, on the device of the feed.
        feed: the feed of the test images.
    """
    model.eval()
    logits, targets = [], []
    for images, wanted in feed.test():
        logits.append(model(images).float().cpu())
        targets.append(wanted.cpu())
    return torch.cat(logits), torch.cat(targets)
