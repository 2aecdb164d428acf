"""Mutants with a precision of their own."""

import pytest
import torch
from torch import nn

from .clean import Clean, assert_found, findings, statuses


class MakesFloat32(Clean):
    def forward(self, x):
        return x * (self.gate(x) + torch.zeros(x.shape[1], 1, 1))


class ConvolvesAPlainTensor(Clean):
    """Its weight is neither parameter nor buffer: .to() passes it by."""

    def __init__(self, channels):
        super().__init__(channels)
        self.kernel = torch.randn(channels, 1, 1, 1)

    def gate(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        return nn.functional.conv2d(pooled, self.kernel, groups=x.shape[1]).sigmoid()


class ReturnsFloat32(Clean):
    def forward(self, x):
        return super().forward(x).float()


class ReturnsFloat32InTraining(Clean):
    def forward(self, x):
        y = super().forward(x)
        return y.float() if self.training else y


class OverflowsInHalf(Clean):
    """Divides two sums of exponentials: 65504 is soon reached."""

    def gate(self, x):
        weights = (4 * x).exp()
        return weights / weights.sum((2, 3), keepdim=True)


class OverflowsOnLargeMaps(Clean):
    def gate(self, x):
        energy = x.square().square().sum((2, 3), keepdim=True)
        return energy / (energy + 1) * super().gate(x)


class LosesDigits(Clean):
    """The variance as a difference of two large numbers."""

    def gate(self, x):
        far = x + 30
        variance = far.square().mean((2, 3), keepdim=True) - far.mean((2, 3), keepdim=True).square()
        return super().gate(x) * variance


class InfiniteGradient(Clean):
    def gate(self, x):
        return super().gate(x) + (x - x.amax((2, 3), keepdim=True)).abs().sqrt()


class AddsInPlaceUnderAutocast(Clean):
    """A product of bf16 and fp32 maps by an operator that does not promote."""

    def forward(self, x):
        return torch.lerp(x, self.excite(self.relu(self.squeeze(x))), 0.5)


class DoublesUnderAutocast(Clean):
    def forward(self, x):
        y = super().forward(x)
        return y.half() if torch.is_autocast_enabled("cpu") else y


class RoundsUnderAutocast(Clean):
    """Its product is computed in bf16 although what follows takes a small difference."""

    def forward(self, x):
        far = self.squeeze(x) + 300
        return x * (far - self.squeeze(x).float() - 300).mean(1, keepdim=True)


class InfiniteUnderAutocast(Clean):
    def forward(self, x):
        gate = self.gate(x)
        return x * gate / (gate.dtype == torch.float32) if self.training else x * gate


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (MakesFloat32, "a float16 map comes out in float32; in bfloat16 as well"),
        (ConvolvesAPlainTensor, "in float64 it raises"),
        (ReturnsFloat32, "a float64 map comes out in float32"),
        (ReturnsFloat32InTraining, "in training a float64 map comes out in float32"),
        (OverflowsInHalf, "in float16 the output is NaN or infinite for normal maps"),
        (OverflowsOnLargeMaps, "in float16 the output is NaN or infinite for maps of size 10"),
        (LosesDigits, "from double precision"),
        (InfiniteGradient, "the gradient of input is not finite"),
    ],
)
def test_precisions_are_tried(mutant, text):
    assert_found(mutant, "dtypes", text)


class SumsSquares(Clean):
    """Sums of squares leave fp16's range on the maps of the first layers."""

    def gate(self, x):
        energy = x.square().sum((2, 3), keepdim=True)
        return (energy / (energy.mean(1, keepdim=True) + 1e-3)).sigmoid()


class DividesByANorm(Clean):
    """Its epsilon is 0 in fp16: no position may be empty."""

    def gate(self, x):
        return super().gate(x) * (x / (x.norm(dim=1, keepdim=True) + 1e-8)).sigmoid()


class SumsSquaresUnderAutocast(Clean):
    """Its sum is a product, which autocast computes in fp16."""

    def gate(self, x):
        flat = x.flatten(2)
        energy = (flat @ flat.transpose(1, 2)).mean(2)[:, :, None, None]
        return (energy / (energy.abs().amax(1, keepdim=True) + 1e-3)).sigmoid()


@pytest.mark.parametrize(
    ("mutant", "check", "reason"),
    [
        (
            SumsSquares,
            "dtypes",
            "in float16 the output is NaN or infinite for 56x56 maps of deviation 5 (all 200,704 "
            "values), 112x112 maps of deviation 5 (all 401,408 values)",
        ),
        (
            DividesByANorm,
            "dtypes",
            "in float16 the output is NaN or infinite for zeros (all 4,032 values), one empty "
            "position (64 of 4,032 values), a spike of 100 (3,968 of 4,032 values)",
        ),
        (
            SumsSquaresUnderAutocast,
            "autocast",
            "under autocast to float16 on cpu the output is NaN or infinite for 56x56 maps of "
            "deviation 5 (all 200,704 values), 112x112 maps of deviation 5 (all 401,408 values)",
        ),
    ],
)
def test_maps_of_trained_networks_are_tried(mutant, check, reason):
    assert [one.reason for one in findings(mutant, check) if one.status == "broken"] == [reason]


class SingleOnly(Clean):
    """Makes a matrix in the default dtype."""

    def gate(self, x):
        return super().gate(x @ torch.eye(x.shape[3], device=x.device))


def test_a_module_of_single_precision_fails_in_the_others_and_once():
    (found,) = [one for one in findings(SingleOnly, "dtypes") if one.status == "broken"]
    assert found.reason.startswith("in float64 it raises RuntimeError: ")
    assert found.reason.endswith("; in float16 and bfloat16 as well")


@pytest.mark.parametrize(
    "check", ["determinism", "batch_independence", "gradients", "maps", "extremes", "nan"]
)
def test_it_is_judged_in_single_precision(check):
    assert statuses(SingleOnly, check) == ["ok"]


class BatchwiseSingle(SingleOnly):
    def forward(self, x):
        return super().forward(x - 1e-2 * x.mean())


class RandomSingle(SingleOnly):
    def forward(self, x):
        return super().forward(x) + 1e-3 * torch.rand(1)


class WrongGradientSingle(SingleOnly):
    def forward(self, x):
        return super().forward(x) * 2 - super().forward(x).detach()


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (BatchwiseSingle, "batch_independence"),
        (RandomSingle, "determinism"),
        (WrongGradientSingle, "gradients"),
    ],
)
def test_its_faults_are_found_there(mutant, check):
    assert_found(mutant, check)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (AddsInPlaceUnderAutocast, "under autocast on cpu it raises"),
        (DoublesUnderAutocast, "the output is float16"),
        (RoundsUnderAutocast, "from fp32"),
        (InfiniteUnderAutocast, "in training under autocast"),
    ],
)
def test_autocast_is_tried(mutant, text):
    assert_found(mutant, "autocast", text)


class NotInHalf(Clean):
    def forward(self, x):
        if x.dtype == torch.half and x.device.type == "cpu":
            raise RuntimeError("\"gate_cpu\" not implemented for 'Half'")
        return super().forward(x)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it is tried there")
def test_what_the_processor_cannot_is_skipped():
    found = findings(NotInHalf, "dtypes")
    skipped = [one for one in found if one.status == "skipped"]
    assert "not implemented for 'Half'" in skipped[0].reason
    assert not any(one.status == "broken" for one in found)


class Steep(Clean):
    """Magnifies differences of its input, in every precision alike."""

    def gate(self, x):
        return (60 * self.squeeze(x)).sin().mean(1, keepdim=True)


@pytest.mark.parametrize("sound", [Clean, Steep])
@pytest.mark.parametrize("check", ["dtypes", "autocast"])
def test_sound_modules_pass(sound, check):
    assert statuses(sound, check) == ["ok"]


def test_errors_are_kept():
    (found,) = findings(Clean, "dtypes")
    errors = found.values["errors"]
    assert list(errors) == ["float64", "float32", "float16", "bfloat16"]
    assert errors["float32"] < 1e-6 < errors["float16"] < errors["bfloat16"] < 1e-2
