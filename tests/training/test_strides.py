"""Strides of backbones on small images."""

import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import RequestError
from attnbench.training.strides import adapt

BACKBONES = ["mobilenet_v1,width=0.25", "mobilenet_v2,width=0.35", "mobilenet_v3_small"]


def strides(model):
    """Of the convolutions that move by more than one, and of those that did before."""
    return [one.stride[0] for one in model.modules() if isinstance(one, nn.Conv2d)]


def built(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return attnbench.create_backbone(name, num_classes=10)


def final_map(model, side):
    """The size of the input of the pooling before the head."""
    found = []
    hooks = [
        one.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[-2:])))
        for one in model.modules()
        if isinstance(one, nn.Conv2d) and one.kernel_size != (1, 1)
    ]
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return found[-1]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(
    ("wanted", "side", "last"),
    [([2, 2, 1, 1, 1], 12, 3), ([1, 1, 2, 2, 2], 32, 4), ([2, 2, 1, 2, 1], 24, 3)],
)
def test_strides_are_set_in_the_networks_order(name, wanted, side, last, recipe):
    model = built(name)
    assert all(stride in (1, 2) for stride in strides(model))
    places = [number for number, stride in enumerate(strides(model)) if stride == 2]
    adapt(model, recipe(stem={"strides": wanted}))
    assert [strides(model)[place] for place in places] == wanted
    others = [one for number, one in enumerate(strides(model)) if number not in places]
    assert set(others) == {1}
    assert final_map(model, side) == (last, last)


def test_strides_that_are_not_named_stay(recipe):
    model = adapt(built(BACKBONES[1]), recipe(stem={"strides": [1]}))
    assert sorted(one for one in strides(model) if one > 1) == [2, 2, 2, 2]
    assert final_map(model, 32) == (2, 2)


def test_weights_stay(recipe):
    model = built(BACKBONES[0])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert adapt(model, recipe(stem={"strides": [1, 1, 1, 1, 1]})) is model
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_recipe_without_strides_changes_nothing(recipe):
    model = built(BACKBONES[0])
    before = strides(model)
    assert strides(adapt(model, recipe())) == before


def test_too_many_strides(recipe):
    message = r"recipe tiny: stem.strides has 6 strides; MobileNetV2 has 5 convolutions of stride 2"
    with pytest.raises(RequestError, match=message):
        adapt(built(BACKBONES[1]), recipe(stem={"strides": [1] * 6}))
