import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import AttnbenchError, RequestError, UnknownNameError


def test_modules_are_sorted_names():
    names = attnbench.modules()
    assert names == sorted(names)
    assert {"bam", "cbam", "double_attention", "identity", "non_local", "se", "ulsam"} <= set(names)


@pytest.mark.parametrize("name", attnbench.modules())
def test_create(name):
    module = attnbench.create(name, 32, feature_size=(6, 5)).eval()
    assert isinstance(module, nn.Module)
    assert module(torch.ones(2, 32, 6, 5)).shape == (2, 32, 6, 5)


def test_create_merges_spec_and_options():
    module = attnbench.create("ulsam,groups=8,momentum=0.5", 64, groups=2)
    assert module.groups == 2
    assert module.depthwise_norm.momentum == 0.5


@pytest.mark.parametrize(
    ("name", "channels", "options", "message"),
    [
        ("cmab", 8, {}, "unknown module 'cmab'"),
        ("ulsam", 10, {"groups": 4}, "cannot work on 10 channels"),
        ("ulsam", 8, {"group": 4}, "no option 'group'"),
        ("", 8, {}, "has no name"),
    ],
)
def test_create_refuses(name, channels, options, message):
    with pytest.raises(RequestError, match=message):
        attnbench.create(name, channels, **options)


def test_backbone_and_sites():
    model = attnbench.backbone("mobilenet_v1,width=0.5", num_classes=10)
    sites = attnbench.sites(model, (1, 3, 64, 64))
    assert [site.layer for site in sites] == [*range(1, 15)]
    assert (sites[10].channels, sites[10].size) == (256, (4, 4))


def test_sites_of_a_model_that_does_not_run():
    with pytest.raises(AttnbenchError, match="cannot be counted"):
        attnbench.sites(nn.Conv2d(4, 4, 1))


def test_errors_are_one_family():
    assert issubclass(UnknownNameError, RequestError)
    assert issubclass(UnknownNameError, LookupError)
    assert issubclass(attnbench.PlacementError, RequestError)
    assert issubclass(RequestError, AttnbenchError)
