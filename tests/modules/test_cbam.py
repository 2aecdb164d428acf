"""CBAM against its equations, and against timm where timm agrees with the original."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.cbam import CBAM
from torch import nn

CARD = CBAM.card


def trained(channels=12, **options):
    """A module in eval whose batch norm has statistics and an affine part."""
    torch.manual_seed(0)
    module = CBAM(channels, **options).double().eval()
    with torch.no_grad():
        norm = module.spatial[1]
        for tensor, value in ((norm.weight, 1.3), (norm.bias, -0.2), (norm.running_mean, 0.4)):
            tensor.fill_(value)
        norm.running_var.fill_(0.7)
    return module


def mlp(module, vector):
    first, _, second = module.mlp
    hidden = first.weight[:, :, 0, 0] @ vector
    hidden = (hidden + first.bias if first.bias is not None else hidden).relu()
    out = second.weight[:, :, 0, 0] @ hidden
    return out + second.bias if second.bias is not None else out


def reference(module, image):
    average = torch.stack([channel.mean() for channel in image])
    largest = torch.stack([channel.max() for channel in image])
    image = image * (mlp(module, average) + mlp(module, largest)).sigmoid()[:, None, None]
    conv, norm = module.spatial
    half = conv.kernel_size[0] // 2
    padded = nn.functional.pad(torch.stack([image.amax(0), image.mean(0)]), [half] * 4)
    gate = torch.zeros_like(image[0])
    for i in range(gate.shape[0]):
        for j in range(gate.shape[1]):
            window = padded[:, i : i + 2 * half + 1, j : j + 2 * half + 1]
            gate[i, j] = (window * conv.weight[0]).sum()
    gate = (gate - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
    return image * gate.sigmoid()


@pytest.mark.parametrize("options", [{}, {"reduction": 3}, {"kernel_size": 3}, {"bias": False}])
def test_equals_the_equations(options):
    module = trained(**options)
    x = torch.randn(2, 12, 5, 8, dtype=torch.double)
    torch.testing.assert_close(module(x), torch.stack([reference(module, image) for image in x]))


@pytest.mark.parametrize("training", [True, False])
def test_equals_timm_with_its_inputs_swapped(training):
    from timm.layers import cbam

    ours = trained(64)
    theirs = cbam.CbamModule(64, mlp_bias=True).double()
    theirs.channel.fc1.load_state_dict(ours.mlp[0].state_dict())
    theirs.channel.fc2.load_state_dict(ours.mlp[2].state_dict())
    swapped = ours.spatial[0].weight.detach().flip(1)  # timm stacks mean before max
    theirs.spatial.conv.conv.load_state_dict({"weight": swapped})
    theirs.spatial.conv.bn.load_state_dict(ours.spatial[1].state_dict())
    ours.train(training), theirs.train(training)
    x = torch.randn(3, 64, 9, 7, dtype=torch.double)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [module(leaf) for module, leaf in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        (output**3).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)


def test_norm_forgets_slowly_as_in_the_original():
    assert CBAM(16).spatial[1].momentum == 0.01


def test_known_counts():
    assert CARD.params(512) == 33_412
    assert CARD.params(512, bias=False) == 32_868
    assert CARD.macs(512, 14, 14) == 84_744
    assert CARD.printed.params(512) == 32_866
    assert CARD.printed.macs(512, 14, 14) == 51_976


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({"reduction": 0}, "reduction=0", "1 or more"),
        ({"kernel_size": 4}, "kernel_size=4", "odd"),
        ({"kernel_size": -1}, "kernel_size=-1", "1 or more"),
    ],
)
def test_bad_values_are_refused(options, value, reason):
    with pytest.raises(ValueError, match=reason) as error:
        CBAM(16, **options)
    assert value in str(error.value)
