"""The check of outputs: it must fail for a wrong one."""

import math

import pytest
import torch
from torch import nn

from attnbench.runtimes.output_check import agreement
from attnbench.runtimes.runtime import BuiltModel, RuntimeFailure, RuntimeSettings


def built(output):
    return BuiltModel(run=lambda: None, output=output, export_s=None, load_s=0.0)


def judged(small, pictures, output, precision="fp32"):
    return agreement(built(output), small, pictures, RuntimeSettings(precision=precision))


@pytest.fixture
def small(small):
    return small.eval()


def test_the_same_output(small, pictures):
    found = judged(small, pictures, lambda x: small(x).detach())
    assert found.equal and found.max_error == 0 and found.top1 == 1 and found.sqnr_db is None


@pytest.mark.parametrize("part", ["norm", "depthwise", "head", "stem"])
def test_every_part_that_an_export_loses_is_noticed(part, small, pictures):
    import copy

    wrong = copy.deepcopy(small)
    lost = getattr(wrong, part)
    for parameter in lost.parameters():
        torch.nn.init.zeros_(parameter) if parameter.dim() == 1 else None
    assert not judged(small, pictures, lambda x: wrong(x).detach()).equal


def test_lost_statistics_are_noticed(small, pictures):
    import copy

    wrong = copy.deepcopy(small)
    wrong.norm.reset_running_stats()
    found = judged(small, pictures, lambda x: wrong(x).detach())
    assert not found.equal and found.max_error > 100 * found.tolerance


def test_noise_of_a_known_size(small, pictures):
    scale = max(small(one).abs().max() for one in pictures)

    def noisy(x):
        out = small(x).detach().clone()
        out[:, 0] += 0.01 * scale
        return out

    found = judged(small, pictures, noisy, "int8")
    assert found.max_error == pytest.approx(0.01, rel=1e-3) and not found.equal
    signal = torch.cat([small(one) for one in pictures]).square().sum().item()
    noise = len(pictures) * (0.01 * scale.item()) ** 2
    assert found.sqnr_db == pytest.approx(10 * math.log10(signal / noise), abs=1e-3)


def test_other_classes(small, pictures):
    assert judged(small, pictures, lambda x: -small(x).detach()).top1 == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_wrong(value, small, pictures):
    found = judged(small, pictures, lambda x: small(x).detach() * value, "int8")
    assert found.max_error == math.inf and not found.equal and found.top1 == 0
    assert found.sqnr_db is None


def test_another_shape_is_wrong(small, pictures):
    assert not judged(small, pictures, lambda x: small(x).detach()[:, :2]).equal


class Masking(nn.Module):
    def forward(self, x):
        return x.masked_fill(x > 1, -math.inf)


def test_infinities_of_the_model_itself_must_be_there():
    x = torch.linspace(-2, 2, 48).reshape(1, 3, 4, 4)
    assert agreement(built(Masking()), Masking(), x, RuntimeSettings()).equal
    assert not agreement(built(nn.Identity()), Masking(), x, RuntimeSettings()).equal


def test_all_zeros_are_compared_too():
    zero = nn.ReLU()
    x = -torch.ones(1, 3, 4, 4)
    assert agreement(built(zero), zero, x, RuntimeSettings()).equal
    assert not agreement(built(nn.Identity()), zero, x, RuntimeSettings()).equal


def test_what_cannot_run_is_a_failure(small):
    with pytest.raises(RuntimeFailure, match="output in fp32"):
        agreement(built(small), small, torch.zeros(1, 7, 4, 4), RuntimeSettings())


def test_features_have_no_classes():
    x = torch.ones(1, 3, 4, 4)
    assert agreement(built(nn.Identity()), nn.Identity(), x, RuntimeSettings()).top1 is None


class Cancelling(nn.Module):
    """Loses all but four digits in single precision, whoever computes it."""

    def forward(self, x):
        return (x.flatten(1) + 1e4) - 1e4


@pytest.mark.parametrize(("scale", "equal"), [(1.0, True), (1.01, False)])
def test_rounding_that_the_network_itself_magnifies_is_no_difference(scale, equal, pictures):
    exact = Cancelling().double()
    found = judged(Cancelling(), pictures, lambda x: (scale * exact(x.double())).float())
    assert found.max_error > 1e-4  # the runtime's own tolerance would not do
    assert found.equal == equal
