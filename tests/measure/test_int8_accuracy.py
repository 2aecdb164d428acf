"""Trained networks quantised to int8 and run on test images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attnbench.datasets.registry import load
from attnbench.measure import int8_accuracy
from attnbench.measure.int8_accuracy import BATCH, CALIBRATION_BATCHES, quantized_correct
from attnbench.training.dataloader import feed
from attnbench.training.evaluate import predict, score_of
from attnbench.training.loop import train
from attnbench.training.recipe import Recipe, find_recipe

DATA = "synthetic,classes=4,count=400"  # 100 test images: a batch and a part of one


class Net(nn.Sequential):
    def __init__(self, extra=None):
        super().__init__(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            *([extra] if extra else []),
            nn.Conv2d(16, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 4),
        )


@pytest.fixture(scope="module")
def own(recipe):
    found = find_recipe(recipe)
    return Recipe.model_validate(found.model_dump() | {"stem": None, "epochs": 3})


@pytest.fixture(scope="module")
def trained(own):
    torch.manual_seed(0)
    model = Net()
    train(model.train(), load(DATA), own, 0)
    return model


def answers(model, recipe):
    logits, targets = predict(model, feed(load(DATA).test, recipe))
    return score_of(logits, targets, 4).correct


def test_int8_answers_are_mostly_those_of_fp32(trained, own):
    found, why = quantized_correct(trained, own, load(DATA))
    assert why is None
    expected = answers(trained, own)
    assert expected.mean() > 0.5  # it has learned something to lose
    assert found.shape == expected.shape == (100,)
    assert found.dtype == np.bool_
    assert (found == expected).mean() >= 0.8


def test_each_image_gets_its_own_answer(trained, own):
    """Whatever stands beside it in a batch, and wherever the last batch ends."""
    whole, _ = quantized_correct(trained, own, load(DATA))
    data = load(DATA)
    for count in (1, BATCH + 1):
        part = replace(
            data.test, targets=data.test.targets[:count], stacked=data.test.stacked[:count]
        )
        found, _ = quantized_correct(trained, own, replace(data, test=part))
        assert (found == whole[:count]).all()
        assert len(found) == count


def test_batches_are_all_of_one_size(own):
    images = torch.cat([images for images, _ in feed(load(DATA).test, own).test()])
    batches = list(int8_accuracy._batches(feed(load(DATA).test, own)))
    assert [len(one) for one in batches] == [BATCH, BATCH]
    joined = torch.cat(batches)
    assert torch.equal(joined[:100], images)
    assert not joined[100:].any()


def test_ranges_are_those_of_training_images_not_augmented(trained, own, monkeypatch):
    seen = {}
    right = int8_accuracy.quantize

    def watched(path, inputs):
        seen["inputs"] = inputs
        return right(path, inputs)

    monkeypatch.setattr(int8_accuracy, "quantize", watched)
    quantized_correct(trained, own, load(DATA))
    first = torch.cat([images for images, _ in feed(load(DATA).train, own).test()])
    assert len(seen["inputs"]) == CALIBRATION_BATCHES
    assert torch.equal(torch.cat(seen["inputs"]), first[: BATCH * CALIBRATION_BATCHES])


class Stubborn(nn.Module):
    """Looks at values: an exporter cannot follow."""

    def forward(self, x):
        return x if float(x.sum()) > 0 else x + 1


def test_a_network_that_cannot_be_exported_has_a_reason(own):
    found, why = quantized_correct(Net(Stubborn()).eval(), own, load(DATA))
    assert found is None
    assert why
    assert "\n" not in why


def test_so_has_one_that_cannot_be_quantised(trained, own, monkeypatch):
    def refuse(*_):
        raise KeyError("no such range")

    monkeypatch.setattr(int8_accuracy, "quantize", refuse)
    found, why = quantized_correct(trained, own, load(DATA))
    assert found is None
    assert why == "ONNX Runtime's quantiser: KeyError: 'no such range'"


def test_nothing_is_left_behind(trained, own, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    quantized_correct(trained, own, load(DATA))
    assert not [path for path in Path(tmp_path).iterdir() if path.name.startswith("attnbench-")]
