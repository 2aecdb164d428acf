"""BAM against a plain reference with linear layers, and its training at batch 1."""

from __future__ import annotations

import copy

import pytest
import torch
from attnbench_modules.bam import BAM
from torch import nn

CARD = BAM.card


class Reference(nn.Module):
    """Two branches as the original has them: linear layers and a 1-D norm on the pooled vector."""

    def __init__(self, channels, reduction, dilation, combine):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.combine = combine
        self.first = nn.Linear(channels, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.second = nn.Linear(hidden, channels)
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels, hidden, 1)]
            + [nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation) for _ in "12"]
            + [nn.Conv2d(hidden, 1, 1)]
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(hidden) for _ in "123")

    def forward(self, x):
        channel = self.second(self.norm(self.first(x.mean((2, 3)))).relu())
        spatial = x
        for conv, norm in zip(self.convs[:3], self.norms, strict=True):
            spatial = norm(conv(spatial)).relu()
        channel, spatial = channel[:, :, None, None], self.convs[3](spatial)
        scores = channel * spatial if self.combine == "mul" else channel + spatial
        return x + x * scores.sigmoid()

    def layers(self):
        """The layers with a state, in the order of the module under test."""
        spatial = [layer for pair in zip(self.convs[:3], self.norms, strict=True) for layer in pair]
        return [self.first, self.norm, self.second, *spatial, self.convs[3]]


def pair(channels=12, reduction=4, dilation=4, combine="mul"):
    torch.manual_seed(0)
    options = {"reduction": reduction, "dilation": dilation, "combine": combine}
    ours = BAM(channels, **options).double()
    reference = Reference(channels, **options).double()
    for target, source in zip(reference.layers(), stateful(ours), strict=True):
        state = {
            key: value.reshape(target.state_dict()[key].shape)
            for key, value in source.state_dict().items()
        }
        target.load_state_dict(state)
    return ours, reference


def stateful(module):
    return [layer for layer in [*module.channel, *module.spatial] if layer.state_dict()]


@pytest.mark.parametrize(
    "options", [{}, {"combine": "add"}, {"dilation": 1}, {"dilation": 2}, {"reduction": 16}]
)
def test_equals_the_reference_in_training_and_eval(options):
    ours, reference = pair(**options)
    for _ in range(3):
        x = torch.randn(3, 12, 9, 6, dtype=torch.double)
        torch.testing.assert_close(ours(x), reference(x))
    for layer, expected in zip(stateful(ours), reference.layers(), strict=True):
        if isinstance(layer, nn.BatchNorm2d):
            torch.testing.assert_close(layer.running_var, expected.running_var)
            torch.testing.assert_close(layer.running_mean, expected.running_mean)
    ours.eval(), reference.eval()
    torch.testing.assert_close(ours(x), reference(x))


def test_gradients_equal_those_of_the_reference():
    ours, reference = pair()
    x = torch.randn(3, 12, 9, 6, dtype=torch.double)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for module, leaf in zip((ours, reference), inputs, strict=True):
        (module(leaf) ** 3).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for layer, expected in zip(stateful(ours), reference.layers(), strict=True):
        gradient = expected.weight.grad.reshape(layer.weight.shape)
        torch.testing.assert_close(layer.weight.grad, gradient)


@pytest.mark.parametrize("size", [(9, 6), (1, 1)])
def test_trains_at_batch_one_where_the_original_fails(size):
    ours, reference = pair()
    x = torch.randn(1, 12, *size, dtype=torch.double)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        reference(x)
    before = copy.deepcopy(ours.channel.state_dict())
    y = ours(x)
    y.sum().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())
    # The pooled vector went through the running statistics, and left them alone.
    assert all(torch.equal(v, before[k]) for k, v in ours.channel.state_dict().items())


def test_known_counts():
    assert CARD.params(512) == 68_513
    assert sum(p.numel() for p in BAM(512).parameters()) == 68_513
    assert sum(p.numel() for p in BAM(512).parameters() if p.ndim == 4) == 67_616
    assert CARD.macs(512, 14, 14) == 6_862_976
    assert CARD.printed.params(512) == 83_968
    assert CARD.printed.macs(512, 14, 14) == 32_768 + 83_968 * 196 == 16_490_496


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({"reduction": 0}, "reduction=0", "1 or more"),
        ({"dilation": 0}, "dilation=0", "1 or more"),
        ({"combine": "max"}, "combine='max'", "mul, add"),
    ],
)
def test_bad_values_are_refused(options, value, reason):
    with pytest.raises(ValueError, match=reason) as error:
        BAM(16, **options)
    assert value in str(error.value)
