"""Mutants of the inference form."""

import copy

import pytest
import torch
from torch import nn

from .clean import Clean, assert_found, findings, statuses


class Normed(Clean):
    """Clean with a batch norm, and a right inference form."""

    def __init__(self, channels):
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(super().forward(x))

    def fuse(self):
        return Affine(copy.deepcopy(self).eval(), self.norm.eps)


class Affine(nn.Module):
    def __init__(self, plain, eps):
        super().__init__()
        norm = plain.norm
        scale = norm.weight.double() / (norm.running_var.double() + eps).sqrt()
        shift = norm.bias.double() - norm.running_mean.double() * scale
        self.squeeze, self.excite = plain.squeeze, plain.excite
        dtype = norm.weight.dtype
        self.register_buffer("scale", scale.detach().to(dtype)[:, None, None])
        self.register_buffer("shift", shift.detach().to(dtype)[:, None, None])

    def forward(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        gate = self.excite(self.squeeze(pooled).relu()).sigmoid()
        return x * (gate * self.scale) + self.shift


class ForgetsEps(Normed):
    def fuse(self):
        return Affine(copy.deepcopy(self).eval(), 0.0)


class StaysInTraining(Normed):
    """Folds nothing, and freezes no batch norm that it holds."""

    def fuse(self):
        return UsesItsBatch(copy.deepcopy(self))


class UsesItsBatch(nn.Module):
    def __init__(self, plain):
        super().__init__()
        self.plain = plain

    def forward(self, x):
        return self.plain.train()(x)


class FixedToItsSize(Normed):
    def fuse(self):
        return OnlyUneven(super().fuse())


class OnlyUneven(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        return self.form(x) if x.shape[2] != x.shape[3] else x


class WritesIntoItsInput(Normed):
    def fuse(self):
        return InPlace(super().fuse())


class InPlace(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        y = self.form(x)
        x.zero_()
        return y


class LosesItsLayout(Normed):
    def fuse(self):
        return Contiguous(super().fuse())


class Contiguous(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        return self.form(x).contiguous()


class PutsItselfInEval(Normed):
    def fuse(self):
        self.eval()
        return super().fuse()


class ChangesItsWeights(Normed):
    def fuse(self):
        with torch.no_grad():
            self.norm.weight.mul_(2)
        return super().fuse()


class RefusesInTraining(Normed):
    def fuse(self):
        if self.training:
            raise RuntimeError("call eval() first")
        return super().fuse()


class ReturnsAFunction(Clean):
    def fuse(self):
        return self.forward


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (ForgetsEps, "the inference form's output at 1x"),
        (StaysInTraining, "is off by"),
        (FixedToItsSize, "14x14"),
        (WritesIntoItsInput, "changes its input"),
        (LosesItsLayout, "loses the dtype or layout"),
        (PutsItselfInEval, "fuse() changes the module: its mode"),
        (ChangesItsWeights, "fuse() changes the module: its norm.weight"),
        (RefusesInTraining, "fuse() in training mode raises"),
    ],
)
def test_inference_forms_are_tried(mutant, text):
    assert_found(mutant, "fuse", text)


def test_a_function_is_no_form():
    (found,) = findings(ReturnsAFunction, "fuse")
    assert found.status == "broken" and "got a method" in found.reason


class Grows(Normed):
    def fuse(self):
        form = copy.deepcopy(self).eval()
        form.spare = nn.Parameter(torch.zeros(1))
        return form


def test_what_is_odd_is_noted():
    found = findings(Grows, "fuse")
    assert [one.status for one in found] == ["note", "note", "ok"]
    assert "parameters" in found[0].reason and "1 batch norm" in found[1].reason


def test_sound_modules_pass():
    assert statuses(Normed, "fuse") == ["ok"]
    (found,) = findings(Clean, "fuse")
    assert (found.status, found.reason) == ("ok", "it has none")
