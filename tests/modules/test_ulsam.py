"""ULSAM against a plain class that holds one attention per subspace and loops over them."""

from __future__ import annotations

import pytest
import torch
from attnbench_modules.ulsam import ULSAM, load_released_state_dict
from torch import nn

CARD = ULSAM.card


class Subspace(nn.Module):
    """One subspace, with the released class's names."""

    def __init__(self, channels, momentum):
        super().__init__()
        self.conv_dws = nn.Conv2d(channels, channels, 1, groups=channels)
        self.bn_dws = nn.BatchNorm2d(channels, momentum=momentum)
        self.conv_point = nn.Conv2d(channels, 1, 1)
        self.bn_point = nn.BatchNorm2d(1, momentum=momentum)

    def forward(self, x):
        out = self.bn_dws(self.conv_dws(x)).relu()
        out = nn.functional.max_pool2d(out, 3, stride=1, padding=1)
        out = self.bn_point(self.conv_point(out)).relu()
        batch, _, height, width = out.shape
        weights = out.reshape(batch, height * width).softmax(1).reshape(batch, 1, height, width)
        return weights.expand_as(x) * x + x


class Reference(nn.Module):
    def __init__(self, channels, groups, momentum=0.1):
        super().__init__()
        self.subspaces = nn.ModuleList(
            Subspace(channels // groups, momentum) for _ in range(groups)
        )

    def forward(self, x):
        parts = x.chunk(len(self.subspaces), dim=1)
        return torch.cat([s(part) for s, part in zip(self.subspaces, parts, strict=True)], dim=1)


def pair(channels=24, groups=4, momentum=0.1):
    torch.manual_seed(0)
    reference = Reference(channels, groups, momentum).double()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.normal_()
        # So small that the batch norm's eps matters.
        reference.subspaces[0].conv_dws.weight[0] = 1e-3
    ours = ULSAM(channels, groups=groups, momentum=momentum).double()
    load_released_state_dict(ours, reference.state_dict())
    return ours, reference


def in_our_layout(groups, channels, tensors):
    """Carry any tensors with the reference's keys over, through the loader itself."""
    carrier = ULSAM(channels, groups=groups).double()
    load_released_state_dict(carrier, tensors)
    return carrier.state_dict()


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 24])
@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_equals_the_loop_in_training_and_eval(groups, momentum):
    ours, reference = pair(groups=groups, momentum=momentum)
    for step in range(3):  # the running statistics must stay equal, too
        x = (step + 1) * torch.randn(3, 24, 5, 6, dtype=torch.double)
        torch.testing.assert_close(ours(x), reference(x))
    expected = in_our_layout(groups, 24, reference.state_dict())
    for key, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, expected[key], msg=key)
    ours.eval(), reference.eval()
    torch.testing.assert_close(ours(x), reference(x))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("shape", [(3, 24, 5, 6), (1, 24, 4, 4), (2, 24, 1, 1)])
def test_gradients_equal_those_of_the_loop(groups, training, shape):
    ours, reference = pair(groups=groups)
    ours.train(training), reference.train(training)
    x = torch.randn(shape, dtype=torch.double)
    seed = torch.randn_like(x)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for module, leaf in zip((ours, reference), inputs, strict=True):
        module(leaf).backward(seed)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    gradients = {k: p.grad for k, p in reference.named_parameters()}
    expected = in_our_layout(groups, 24, {**reference.state_dict(), **gradients})
    for key, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[key], atol=1e-10, rtol=1e-6, msg=key)


def test_biases_before_a_batch_norm_are_dead_in_training():
    ours, _ = pair()
    (ours(torch.randn(3, 24, 5, 6, dtype=torch.double)) ** 3).sum().backward()
    for dead in (ours.depthwise.bias, ours.pointwise.bias):
        assert dead.grad.abs().max() < 1e-10
    assert ours.pointwise.weight.grad.abs().max() > 1e-3


@pytest.mark.parametrize("groups", [1, 4, 8, 16])
def test_maps_sum_to_one_and_the_module_starts_near_the_identity(groups):
    torch.manual_seed(0)
    module = ULSAM(64, groups=groups)
    x = torch.randn(4, 64, 14, 14).relu()
    maps = module.attention(x)
    assert maps.shape == (4, groups, 14, 14)
    assert (maps >= 0).all()
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(4, groups))
    change = (module(x) - x).norm() / x.norm()
    assert 0.003 < change < 0.02  # about 1/N = 0.005


def test_a_subspace_does_not_see_the_others():
    module, _ = pair(groups=4)
    module.eval()
    x = torch.randn(2, 24, 5, 6, dtype=torch.double)
    other = x.clone()
    other[:, 12:18] += 1
    same = [i for i in range(24) if not 12 <= i < 18]
    assert torch.equal(module(x)[:, same], module(other)[:, same])
    assert not torch.equal(module(x)[:, 12:18], module(other)[:, 12:18])


def test_momentum_reaches_both_norms():
    module = ULSAM(16, momentum=0.9)
    assert module.depthwise_norm.momentum == module.pointwise_norm.momentum == 0.9
    assert ULSAM(16).depthwise_norm.momentum == 0.1


@pytest.mark.parametrize(
    ("channels", "params"),
    [
        (512, {1: 2563, 4: 2572, 8: 2584, 16: 2608}),
        (96, {1: 483, 2: 486, 4: 492, 8: 504, 16: 528}),
        (160, {1: 803, 2: 806, 4: 812, 8: 824, 16: 848}),
    ],
)
def test_known_parameter_counts(channels, params):
    for groups, expected in params.items():
        assert CARD.params(channels, groups=groups) == expected
        built = ULSAM(channels, groups=groups)
        assert sum(p.numel() for p in built.parameters()) == expected


def test_known_macs_and_printed_formula():
    assert CARD.params(512) == 2572
    assert CARD.macs(512, 14, 14) == 200_704
    assert CARD.macs(96, 14, 14) == 37_632
    assert CARD.macs(160, 7, 7) == 15_680
    assert CARD.printed.params(512, groups=4) == 1024
    assert CARD.printed.macs(512, 14, 14, groups=4) == 200_704


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({"channels": 24, "groups": 16}, "groups=16", "divide channels"),
        ({"channels": 24, "groups": 0}, "groups=0", "1 or more"),
        ({"channels": 24, "groups": 2.0}, "groups=2.0", "whole number"),
        ({"channels": 24, "momentum": 0.0}, "momentum=0.0", "above 0"),
        ({"channels": 24, "momentum": None}, "momentum=None", "a number"),
        ({"channels": 24, "momentum": 1.5}, "momentum=1.5", "at most 1"),
    ],
)
def test_bad_values_are_refused(options, value, reason):
    with pytest.raises(ValueError, match=reason) as error:
        ULSAM(**options)
    assert value in str(error.value)


def test_released_layout_has_the_keys_that_the_loader_reads():
    reference = Reference(24, 2)
    assert len(reference.state_dict()) == 2 * 14
    assert reference.state_dict()["subspaces.1.conv_dws.weight"].shape == (12, 1, 1, 1)
    assert reference.state_dict()["subspaces.1.conv_point.weight"].shape == (1, 12, 1, 1)


def test_loader_names_missing_and_unknown_keys():
    state = Reference(24, 4).state_dict()
    del state["subspaces.2.bn_dws.weight"]
    with pytest.raises(ValueError, match=r"missing: subspaces\.2\.bn_dws\.weight\. "):
        load_released_state_dict(ULSAM(24), state)
    state = {**Reference(24, 4).state_dict(), "fc.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unknown: fc\.weight\. "):
        load_released_state_dict(ULSAM(24), state)


def test_loader_tells_another_number_of_subspaces():
    for saved, built, what in ((8, 4, "unknown"), (4, 8, "missing")):
        with pytest.raises(ValueError, match=rf"groups={built}\): {what}: .* and 53 more") as error:
            load_released_state_dict(ULSAM(24, groups=built), Reference(24, saved).state_dict())
        assert "as many subspaces as groups" in str(error.value)


def test_loader_names_a_wrong_shape_and_leaves_the_module_alone():
    module = ULSAM(24)
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    message = r"subspaces\.0\.conv_dws\.weight has shape \(8, 1, 1, 1\), expected \(6, 1, 1, 1\)"
    with pytest.raises(ValueError, match=message):
        load_released_state_dict(module, Reference(32, 4).state_dict())
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())
