"""Mutants that do not take all widths, and the widths themselves."""

import pytest
import torch
from torch import nn

from attnbench.api import create_backbone, find_sites
from attnbench.cards import Card, Constraint
from attnbench.conformance.channel_widths import MOBILENET_WIDTHS

from .clean import Clean, assert_found, findings, statuses

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


def test_clean_module_passes():
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
