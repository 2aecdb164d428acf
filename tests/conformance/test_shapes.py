"""Mutants that take some maps only, or give back others."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attnbench.cards import Card, Constraint

from .clean import Clean, assert_found, findings, statuses


class PoolsBackToEvenSizes(Clean):
    def forward(self, x):
        return F.interpolate(F.avg_pool2d(super().forward(x), 2), scale_factor=2)


class SquareOnly(Clean):
    def gate(self, x):
        return F.avg_pool2d(x, x.shape[2]).sigmoid()


class SwapsHeightAndWidth(Clean):
    def forward(self, x):
        b, c, h, w = x.shape
        return super().forward(x).reshape(b, c, w, h)


class VarianceOfOnePosition(Clean):
    """Divides by N - 1."""

    def forward(self, x):
        n = x.shape[2] * x.shape[3] - 1
        deviation = (x - x.mean((2, 3), keepdim=True)).square()
        return x * (deviation / (deviation.sum((2, 3), keepdim=True) / n + 1e-4)).sigmoid()


class KernelLargerThanTheMap(Clean):
    def forward(self, x):
        return super().forward(x) * F.pad(x, (4, 4, 4, 4), mode="reflect").mean().sigmoid()


class PositionsUpTo64(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.row = nn.Parameter(torch.zeros(1, 1, 64, 1))

    def forward(self, x):
        return super().forward(x) + self.row[:, :, torch.arange(x.shape[2])]


class ReturnsDouble(Clean):
    def forward(self, x):
        return super().forward(x).double()


class DropsTheBatchOfOne(Clean):
    def forward(self, x):
        return super().forward(x).squeeze(0)


class ViewsTheInput(Clean):
    def gate(self, x):
        return super().gate(x.view(x.shape[0], x.shape[1], -1, 1))


class ReadsTheStorage(Clean):
    def forward(self, x):
        _, c, h, w = x.shape
        return super().forward(x.as_strided(x.shape, (c * h * w, h * w, w, 1)))


class NanInTraining(Clean):
    def forward(self, x):
        y = super().forward(x)
        return y / x.std((2, 3), keepdim=True) if self.training else y


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (PoolsBackToEvenSizes, "(2, 32, 7, 7) becomes (2, 32, 6, 6)"),
        (SquareOnly, "12x7 in eval"),
        (SwapsHeightAndWidth, "7x12 in eval"),
        (VarianceOfOnePosition, "100% of the output is NaN or infinite for 1x1 in eval"),
        (KernelLargerThanTheMap, "3x3 in eval"),
        (PositionsUpTo64, "for 112x2 in eval, 112x112 in eval"),
        (ReturnsDouble, "torch.float32 becomes torch.float64"),
        (DropsTheBatchOfOne, "a batch of 1"),
        (ViewsTheInput, "every other row and column of a larger one"),
        (ReadsTheStorage, "than for its contiguous copy"),
        (NanInTraining, "1x1 in training"),
    ],
)
def test_maps_that_do_not_go_through_are_found(mutant, text):
    assert_found(mutant, "maps", text)


def test_sizes_that_the_card_forbids_are_not_shown():
    class Declared(VarianceOfOnePosition):
        card = Card(
            title="declared",
            family="spatial",
            constraints=(
                Constraint(
                    "maps must have more than one position",
                    lambda channels, feature_size=None, **_: feature_size != (1, 1),
                ),
            ),
        )

    (found,) = findings(Declared, "maps")
    assert found.status == "ok"
    assert found.values["forbidden"] == ["1x1"]


def test_what_takes_feature_size_is_rebuilt_for_each():
    class OwnSize(Clean):
        def __init__(self, channels, *, feature_size=(14, 14)):
            super().__init__(channels)
            self.position = nn.Parameter(torch.zeros(1, channels, *feature_size))

        def forward(self, x):
            return super().forward(x + self.position)

    (found,) = findings(OwnSize, "maps")
    assert found.status == "ok"
    assert found.values["feature_size"]


def test_all_places_of_one_failure_make_one_finding():
    bad = [one for one in findings(SwapsHeightAndWidth, "maps") if one.status == "broken"]
    assert len(bad) == 1
    assert "12x7 in training" in bad[0].values["places"]


def test_clean_module_passes():
    assert statuses(Clean, "maps") == ["ok"]
