"""Mutants that overflow, divide by zero, hide a NaN or never end on one."""

import pytest
import torch

from .clean import Clean, assert_found, statuses


class ExpOverflows(Clean):
    def forward(self, x):
        raised = (x - x.mean((2, 3), keepdim=True)).exp()
        return x * raised / (1 + raised)


class DividesByTheMaximum(Clean):
    def forward(self, x):
        return super().forward(x) / x.abs().amax((1, 2, 3), keepdim=True)


class NormalisesByDeviation(Clean):
    def forward(self, x):
        centred = x - x.mean((2, 3), keepdim=True)
        return super().forward(centred / x.std((2, 3), keepdim=True))


class RootOfZero(Clean):
    """Finite, but the slope of the root at zero is not."""

    def forward(self, x):
        return super().forward(x) * x.square().sum((2, 3), keepdim=True).sqrt().sigmoid()


class DividesByThePosition(Clean):
    """The slope of the root at an empty position is infinite."""

    def forward(self, x):
        return super().forward(x) * x.square().sum(1, keepdim=True).sqrt().sigmoid()


class LogOfNegative(Clean):
    def forward(self, x):
        return super().forward(x) + (x.mean((2, 3), keepdim=True) + 0.5).log()


class OnlyWhenTraining(Clean):
    def forward(self, x):
        y = super().forward(x)
        return y / x.abs().mean() if self.training else y


class Inverts(Clean):
    """A matrix of rank 1 on a constant map."""

    def gate(self, x):
        rows = x.flatten(2)
        gram = rows @ rows.transpose(1, 2) + 1e-3 * torch.ones(x.shape[1])
        return super().gate(x) * torch.linalg.cholesky(gram).mean((1, 2)).view(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (Inverts, "forward raises _LinAlgError"),
        (ExpOverflows, "a spike of 1e4"),
        (DividesByTheMaximum, "zeros in eval"),
        (NormalisesByDeviation, "all +1 in eval"),
        (RootOfZero, "the output is finite and the gradient is not for zeros in training"),
        (DividesByThePosition, "one position of zeros in training"),
        (LogOfNegative, "all -1 in eval"),
        (OnlyWhenTraining, "NaN or infinite for zeros in training"),
    ],
)
def test_what_is_not_finite_is_found(mutant, text):
    assert_found(mutant, "extremes", text)


class HidesNan(Clean):
    def forward(self, x):
        return super().forward(torch.nan_to_num(x))


class ComparesNanAway(Clean):
    def forward(self, x):
        return torch.where(x > 0, super().forward(torch.where(x > 0, x, 0)), 0)


class SpoilsTheOthers(Clean):
    def forward(self, x):
        return super().forward(x) + 0 * x.mean()


class IteratesUntilClose(Clean):
    def forward(self, x):
        step = x.mean((1, 2, 3), keepdim=True)
        while not bool((step.abs() < 1e-3).all()):
            step = step / 2
        return super().forward(x) + step


class RaisesOnNan(Clean):
    def forward(self, x):
        if not bool(x.isfinite().all()):
            raise FloatingPointError("not finite")
        return super().forward(x)


class ScalesByTheBatch(Clean):
    """What is taken for the NaN changes the others, and they stay finite."""

    def forward(self, x):
        return super().forward(x) / x.abs().amax((1, 2, 3)).nan_to_num().sum()


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (HidesNan, "one NaN in the input leaves no NaN"),
        (ComparesNanAway, "an image of NaN in the input leaves no NaN"),
        (SpoilsTheOthers, "spoils 100% of the output of the others"),
        (IteratesUntilClose, "does not end on NaN or infinity"),
        (RaisesOnNan, "raises FloatingPointError: not finite"),
        (ScalesByTheBatch, "changes the output of the others by"),
    ],
)
def test_lost_nans_are_found(mutant, text):
    assert_found(mutant, "nan", text)


@pytest.mark.parametrize("check", ["extremes", "nan"])
def test_clean_module_passes(check):
    assert statuses(Clean, check) == ["ok"]
