"""Random weights with which every part of a network matters, and the pictures that show it."""

import copy

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import nn

import attnbench
from attnbench.runtimes.sample_inputs import _photographs, examples, photos, randomize_weights

TINY = torch.finfo(torch.float32).tiny


def test_the_same_seed_gives_the_same_weights(example):
    def made(seed):
        torch.manual_seed(0)
        return randomize_weights(
            attnbench.create_module("non_local", 16), seed, example.new_zeros(1, 16, 8, 8)
        )

    first, again, other = (made(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_global_random_numbers_are_left_alone(small, example):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    randomize_weights(small, 0, example)
    assert torch.equal(torch.rand(3), wanted)


def test_non_local_is_no_longer_the_identity():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 8, 8)
    module = attnbench.create_module("non_local", 16).eval()
    assert torch.equal(module(x), x)
    assert not torch.allclose(randomize_weights(module, 0, x)(x), x, atol=1e-2)


def test_weights_stay_and_nothing_is_zero_any_more(small):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.LayerNorm(4))
    nn.init.zeros_(model[0].bias)
    before = model[0].weight.clone()
    randomize_weights(model)
    assert torch.equal(model[0].weight, before)
    assert all(parameter.all() for parameter in model.parameters())
    assert model[1].running_mean.all() and not (model[1].running_var == 1).any()


def test_modes_momenta_and_frozen_parts_are_kept(small, example):
    small.train()
    small.stem.eval()
    small.norm.momentum = 0.3
    randomize_weights(small, 0, example)
    assert small.training and not small.stem[1].training and small.norm.training
    assert small.norm.momentum == 0.3
    assert all(parameter.requires_grad for parameter in small.parameters())


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "resnet18"])
def test_outputs_of_real_networks_differ_from_picture_to_picture(name):
    torch.manual_seed(0)
    x = torch.zeros(1, 3, 64, 64)
    model = randomize_weights(attnbench.create_backbone(name), 0, x).eval()
    with torch.no_grad():
        out = model(torch.cat(examples(x, 8, seed=3)))
    assert out.isfinite().all() and (out.abs() > TINY).all()
    spread = out.std(0).mean() / out.std()
    assert spread > 0.1  # of one class over the pictures, against all values
    assert out.argmax(1).unique().numel() > 1


@pytest.mark.parametrize("lost", ["features.13.conv.2", "features.17.conv.1.1"])
def test_each_layer_of_a_deep_network_matters(lost):
    torch.manual_seed(0)
    x = photos(1, (64, 64))
    model = randomize_weights(attnbench.create_backbone("mobilenet_v2"), 0, x).eval()
    changed = copy.deepcopy(model)
    changed.get_submodule(lost).reset_parameters() if "1.1" in lost else None
    for parameter in changed.get_submodule(lost).parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        wanted, found = model(x), changed(x)
    assert (wanted - found).abs().max() > 1e-3 * wanted.abs().max()


def test_pictures_are_normalised_reproducible_and_all_different():
    first = photos(6, (32, 48))
    assert first.shape == (6, 3, 32, 48) and torch.equal(first, photos(6, (32, 48)))
    assert not torch.equal(first, photos(6, (32, 48), seed=1))
    assert len({float(one.sum()) for one in first}) == 6
    assert abs(first.mean()) < 1.5 and 0.5 < first.std() < 2


def test_pictures_are_those_of_scikit_learn():
    for found, image in zip(_photographs(), load_sample_images().images, strict=True):
        assert torch.equal(found, torch.from_numpy(image.copy()).permute(2, 0, 1) / 255)


def test_examples_have_the_shape_of_the_example():
    three = examples(torch.zeros(4, 3, 8, 8), 10)
    assert [one.shape for one in three] == [(4, 3, 8, 8)] * 3
    assert torch.equal(three[0], photos(4, (8, 8)))
    maps = examples(torch.zeros(1, 16, 8, 8, device="meta"), 2)
    assert [one.shape for one in maps] == [(1, 16, 8, 8)] * 2
    assert abs(torch.cat(maps).mean()) < 0.1
