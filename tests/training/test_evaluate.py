"""Accuracies, counted."""

import numpy as np
import pytest
import torch
from torch import nn

from attnbench.training.evaluate import Diverged, predict, score_of


def counted(logits, targets, first):
    """Percent of the rows whose right class is among the highest, in plain Python."""
    hits = 0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        ranked = sorted(range(len(row)), key=row.__getitem__, reverse=True)
        hits += target in ranked[:first]
    return 100 * hits / len(targets)


@pytest.mark.parametrize("classes", [6, 10, 101])
def test_top1_and_top5_against_counting(classes):
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(137, classes, generator=generator)
    targets = torch.randint(0, classes, (137,), generator=generator)
    logits[torch.arange(0, 137, 3), targets[::3]] += 2
    found = score_of(logits, targets, classes)
    assert found.top1 == counted(logits, targets, 1)
    assert found.top5 == counted(logits, targets, 5)
    assert found.correct.dtype == np.bool_
    assert found.correct.tolist() == [
        max(range(classes), key=row.__getitem__) == target
        for row, target in zip(logits.tolist(), targets.tolist(), strict=True)
    ]


def test_top5_says_nothing_of_five_classes():
    logits, targets = torch.eye(5), torch.tensor([0, 1, 2, 3, 0])
    found = score_of(logits, targets, 5)
    assert (found.top1, found.top5) == (80.0, None)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_an_output_that_is_no_number(bad):
    logits = torch.zeros(3, 7)
    logits[1, 2] = bad
    with pytest.raises(Diverged, match="not finite"):
        score_of(logits, torch.zeros(3, dtype=torch.int64), 7)


class Fixed:
    """A feed of two batches."""

    def __init__(self, images, targets):
        self.images, self.targets = images, targets

    def test(self):
        yield from zip(self.images.split(3), self.targets.split(3), strict=True)


def test_a_network_is_tested_in_evaluation_mode():
    images = torch.eye(7)[:5].view(5, 7, 1, 1)
    targets = torch.tensor([0, 1, 2, 3, 6])
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9)).train()
    found = score_of(*predict(model, Fixed(images, targets)), 7)
    assert not model.training
    assert found.correct.tolist() == [True, True, True, True, False]
    assert found.top1 == 80.0
