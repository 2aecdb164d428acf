"""Mutants with parameters that never learn, and with wrong gradients."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attnbench.cards import Card

from .clean import Clean, assert_found, findings, statuses


class NeverUsed(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.depthwise = nn.Conv2d(channels, channels, 1, groups=channels)


class HalfOfThem(Clean):
    """The gate is compared, so that nothing flows into what computes it."""

    def forward(self, x):
        return x * (self.gate(x) > 0.5).to(x.dtype)


class MultipliedAway(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        return super().forward(x) + x * (self.scale * 0)


class GateFromDetached(Clean):
    """Deliberate now and then: it must be said."""

    def gate(self, x):
        return super().gate(x.detach())


class GateFromData(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale = nn.Parameter(torch.rand(1, channels, 1, 1))

    def forward(self, x):
        weight = self.scale.data.abs() / self.scale.abs().sum()
        return super().forward(x) * (1 + weight)


class TinyDetach(Clean):
    """One percent of the gradient is missing."""

    def forward(self, x):
        return x * (1 + 0.01 * super().gate(x.detach()) + 0.01 * super().gate(x))


class _WrongSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.sigmoid()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * y


class WrongBackward(Clean):
    def gate(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        return _WrongSigmoid.apply(self.excite(self.relu(self.squeeze(pooled))))


class RootAtZero(Clean):
    def forward(self, x):
        return super().forward(x) * (x * (x > 0)).sqrt().mean((2, 3), keepdim=True)


class CutOff(Clean):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class InputCutOff(Clean):
    def forward(self, x):
        return super().forward(x.detach())


class InputZero(Clean):
    def forward(self, x):
        return self.gate(x.detach()).expand(x.shape) + 0 * x


class RemembersTheLastGate(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.last = None

    def forward(self, x):
        gate = self.gate(x)
        if self.training:
            gate = gate if self.last is None else 0.9 * gate + 0.1 * self.last
            self.last = gate
        return x * gate


class BeforeANorm(Clean):
    """A bias whose gradient is zero but for rounding."""

    def __init__(self, channels):
        super().__init__(channels)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return super().forward(x) + self.norm(self.conv(x))


CARD = Card(title="carded", family="channel")


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (NeverUsed, "depthwise.weight, depthwise.bias gets no gradient: never used"),
        (HalfOfThem, "squeeze.weight, squeeze.bias, excite.weight, excite.bias gets no gradient"),
        (MultipliedAway, "the gradient of scale is exactly zero in 4 draws"),
        (GateFromDetached, "wrong gradient to the input"),
        (GateFromData, "wrong gradient to scale"),
        (TinyDetach, "wrong gradient to the input"),
        (WrongBackward, "wrong gradient to"),
        (RootAtZero, "the gradient of the input is NaN or infinite on ordinary maps"),
        (CutOff, "cut off from the input and all parameters"),
        (InputCutOff, "the input gets no gradient"),
        (InputZero, "the input gets a gradient of exactly zero"),
        (RemembersTheLastGate, "a second backward pass in training raises RuntimeError"),
    ],
)
def test_lost_and_wrong_gradients_are_found(mutant, text):
    assert_found(mutant, "gradients", text)


def test_clean_module_passes():
    assert statuses(Clean, "gradients") == ["ok"]


def test_a_gradient_that_a_norm_takes_away_is_a_note():
    (found,) = findings(BeforeANorm, "gradients")
    assert (found.status, found.values["parameters"]) == ("note", ["conv.bias"])
    assert "Card.dead" in found.remedy


@pytest.mark.parametrize(("parent", "glob"), [(BeforeANorm, "*.bias"), (NeverUsed, "depthwise.*")])
def test_declared_dead_parameters_are_declared(parent, glob):
    names = {"*.bias": "conv.bias", "depthwise.*": "depthwise.weight, depthwise.bias"}[glob]

    class Declared(parent):
        card = replace(CARD, dead={glob: "a reason"})

    found = findings(Declared, "gradients")
    assert found[0].status == "declared"
    assert found[0].reason == f"{names} gets no gradient (declared: a reason)"


def test_declared_dead_and_alive_is_a_note():
    class Alive(Clean):
        card = replace(CARD, dead={"squeeze.*": "a reason", "norm.weight": "another"})

    alive, unknown = findings(Alive, "gradients")
    assert {alive.status, unknown.status} == {"note"}
    assert "squeeze.weight, squeeze.bias is declared dead" in alive.reason
    assert "norm.weight, which no parameter" in unknown.reason


def test_dead_parameters_of_a_blend_are_those_of_the_module():
    class Declared(BeforeANorm):
        card = replace(CARD, dead={"conv.bias": "a reason"})

    assert statuses(Declared, "gradients", blend=True) == ["declared"]


def test_frozen_parameters_are_a_note():
    class Frozen(Clean):
        def __init__(self, channels):
            super().__init__(channels)
            self.excite.bias.requires_grad_(False)

    (found,) = findings(Frozen, "gradients")
    assert (found.status, found.values["parameters"]) == ("note", ["excite.bias"])


def test_a_deliberate_detach_can_be_declared():
    class Declared(GateFromDetached):
        card = replace(CARD, exceptions={"gradients": "the gate must not move the features"})

    assert statuses(Declared, "gradients") == ["declared"]


def test_float32_inside_is_no_wrong_gradient():
    class Float32Inside(Clean):
        def gate(self, x):
            pooled = x.mean((2, 3), keepdim=True)
            scores = self.excite(self.relu(self.squeeze(pooled)))
            return scores.float().sigmoid().to(x.dtype)

    assert statuses(Float32Inside, "gradients") == ["ok"]
