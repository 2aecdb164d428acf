"""Mutants that take some maps or widths only, or give back others."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attnbench.cards import Card, Constraint
from attnbench.conformance.shapes import MOBILENET_WIDTHS
from attnbench.models.backbones import create_backbone
from attnbench.models.sites import find_sites

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


MULTIPLE = Constraint("channels must be a multiple of 16", lambda channels, **_: channels % 16 == 0)


class SixteenGroups(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.norm = nn.GroupNorm(16, channels)


class SixteenGroupsByAssertion(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        assert channels % 16 == 0


class UndeclaredThoughCarded(SixteenGroups):
    card = Card(title="carded", family="channel")


class DeclaredTooLittle(SixteenGroups):
    card = Card(
        title="little",
        family="channel",
        constraints=(Constraint("8", lambda channels, **_: channels % 8 == 0),),
    )


class Declared(SixteenGroups):
    card = Card(title="declared", family="channel", constraints=(MULTIPLE,))


class SqueezesToNothing(Clean):
    """32 // 64 is 0 channels."""

    def __init__(self, channels):
        super().__init__(channels)
        self.one = 1 / (channels // 64) if channels != 32 else 1


class CrashesAtAWidth(Clean):
    def forward(self, x):
        return super().forward(x.unflatten(1, (32, -1)).flatten(1, 2))


class AlwaysEightChannels(Clean):
    def forward(self, x):
        return torch.cat([super().forward(x)[:, : x.shape[1] // 16 * 16]], 1)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (UndeclaredThoughCarded, "refused and no constraint of a card says so: 8, 24, 40, 56"),
        (DeclaredTooLittle, "the constructor raises ValueError: num_channels"),
        (SqueezesToNothing, "do not work: 8, 16, 24, 40 and"),
        (CrashesAtAWidth, "forward raises RuntimeError"),
        (AlwaysEightChannels, "(2, 8, 7, 9) becomes (2, 0, 7, 9)"),
    ],
)
def test_widths_that_do_not_work_are_found(mutant, text):
    assert_found(mutant, "widths", text)


@pytest.mark.parametrize(
    ("mutant", "works"),
    [
        (SqueezesToNothing, "it works at 32, 64 to 1792"),
        (AlwaysEightChannels, "it works at 16, 32, 48, 64, 80, 96 to 112, 128, 144 to 160, 192, "),
    ],
)
def test_the_widths_that_work_are_named(mutant, works):
    (found,) = findings(mutant, "widths")
    assert works in found.reason
    assert {*found.values["works"], *found.values["failed"]} == {*MOBILENET_WIDTHS}


@pytest.mark.parametrize("cls", [SixteenGroups, SixteenGroupsByAssertion])
def test_without_a_card_a_refusal_is_only_not_declared(cls):
    found = findings(cls, "widths")
    assert [one.status for one in found] == ["note", "ok"]
    assert found[0].values["refused"] == [one for one in MOBILENET_WIDTHS if one % 16]
    assert "Constraint(" in found[0].remedy


def test_declared_constraints_are_listed():
    (found,) = findings(Declared, "widths")
    assert found.status == "ok"
    assert found.values["forbidden"] == [one for one in MOBILENET_WIDTHS if one % 16]


def test_a_constraint_that_is_too_strict_is_its_own_business():
    class Strict(Clean):
        card = Card(title="strict", family="channel", constraints=(MULTIPLE,))

    assert statuses(Strict, "widths") == ["ok"]


def test_clean_module_passes_at_all_widths():
    assert statuses(Clean, "widths") == ["ok"]


def test_the_widths_are_those_of_the_networks():
    networks = [("mobilenet_v1", {"width": one}) for one in (1.0, 0.75, 0.5, 0.25)]
    networks += [("mobilenet_v2", {"width_mult": one}) for one in (1.0, 0.75, 0.5, 0.35, 1.4)]
    networks += [("mobilenet_v3_small", {}), ("mobilenet_v3_large", {})]
    found = set()
    for name, options in networks:
        with torch.device("meta"):
            model = create_backbone(name, **options)
        for site in find_sites(model):
            found |= {site.channels, site.inside.expanded}
    assert tuple(sorted(found - {None, 0})) == MOBILENET_WIDTHS
