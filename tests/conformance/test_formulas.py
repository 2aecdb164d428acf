"""Mutants whose card says another cost than is counted."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import nn

from attnbench.cards import Card, PrintedCost

from .clean import Clean, assert_found, findings, statuses


def clean_params(channels, *, reduction=4, bias=True, mix="none", **_):
    hidden = max(1, channels // reduction)
    mixed = channels**2 if mix == "full" else 0
    return 2 * channels * hidden + (hidden + channels if bias else 0) + mixed


def clean_macs(channels, height, width, *, reduction=4, mix="none", **_):
    mixed = channels**2 * height * width if mix == "full" else 0
    return 2 * channels * max(1, channels // reduction) + mixed


CARD = Card(title="carded", family="channel", params=clean_params, macs=clean_macs)


class Carded(Clean):
    """The clean module with options of all kinds, and formulas that hold for all of them."""

    card = CARD

    def __init__(
        self,
        channels,
        *,
        reduction: int = 4,
        bias: bool = True,
        mix: Literal["none", "full"] | None = "none",
    ):
        super().__init__(channels, reduction=reduction)
        if mix not in ("none", "full"):
            raise ValueError(f"mix={mix!r}")
        if not bias:
            self.squeeze.bias = self.excite.bias = None
        full = nn.Conv2d(channels, channels, 1, bias=False)
        self.mix = full if mix == "full" else nn.Identity()

    def forward(self, x):
        return super().forward(self.mix(x))


def carded(**changes):
    """The class with another card."""

    class Mutant(Carded):
        card = replace(CARD, **changes)

    return Mutant


def printed(**changes):
    formulas = {"params": clean_params, "macs": clean_macs} | changes
    texts = dict.fromkeys(("params_text", "macs_text", "params_tex", "macs_tex"), "x")
    return carded(printed=PrintedCost(source="here", differences=(), **texts, **formulas))


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (carded(params=lambda c, **o: clean_params(c, **o) + 1), "for 16 channels (wrong in"),
        (
            carded(params=lambda c, **o: clean_params(c, **{**o, "bias": True})),
            "parameters gives 148 where 128 were counted, for 16 channels with bias=false",
        ),
        (
            carded(params=lambda c, **o: clean_params(c, **{**o, "reduction": 4})),
            "parameters gives 148 where 280 were counted, for 16 channels with reduction=2",
        ),
        (
            carded(macs=lambda c, h, w, **o: clean_macs(c, h, w, **{**o, "mix": "none"})),
            "multiply-adds gives 512 where 50,688 were counted, for 32 channels at 7x7 with mix=full",
        ),
        (
            carded(macs=lambda c, h, w, **o: 2 * clean_macs(c, h, w, **o)),
            "multiply-adds gives 1,024",
        ),
        (
            carded(macs=lambda c, h, w, **o: clean_macs(c, h, h, **o) + (h != w)),
            "at 7x12",
        ),
        (carded(params=lambda c, **o: clean_params(c, **o) / 1), "148.0, which is no whole number"),
        (carded(params=lambda c: clean_params(c)), "fails with TypeError"),
        (carded(macs=lambda c, h, w, *, reduction: 0), "fails with TypeError"),
        (printed(params=lambda channels: 0), "the printed formula fails for 512 channels at 14x14"),
        (printed(macs=lambda channels, size, **_: 0), "the printed formula fails"),
    ],
)
def test_wrong_formulas_are_found(mutant, text):
    assert_found(mutant, "formulas", text)


def test_right_formulas_pass_with_all_variants():
    (found,) = findings(Carded, "formulas")
    assert found.status == "ok"
    # as it is, reduction halved and doubled, bias flipped, mix=full
    assert found.values["variants"] == 5
    assert found.values["params"] == 5 * 9


def test_variants_that_the_constructor_refuses_are_not_judged():
    class EvenOnly(Carded):
        card = CARD

        def __init__(self, channels, *, reduction: int = 4):
            if reduction != 4:
                raise ValueError("reduction must be 4")
            super().__init__(channels)

    (found,) = findings(EvenOnly, "formulas")
    assert found.status == "ok"
    assert found.values["params"] == 9


def test_printed_formula_may_differ():
    assert statuses(printed(params=lambda channels, **_: 1), "formulas") == ["ok"]


def test_without_a_card_the_counts_are_told():
    (found,) = findings(Clean, "formulas")
    assert found.status == "note"
    # two 1x1 convolutions with bias through 128 hidden channels, on a 1x1 map
    assert found.values["params"] == 2 * 512 * 128 + 512 + 128
    assert found.values["macs"] == 2 * 512 * 128
    assert (found.values["channels"], found.values["size"]) == (512, [14, 14])
    assert "Card.params" in found.remedy


def test_one_missing_formula_is_named():
    (found,) = findings(carded(macs=None), "formulas")
    assert found.status == "note"
    assert "no formula for macs" in found.reason


def test_what_cannot_run_on_shapes_alone_is_counted_for_real():
    class LooksAtValues(Carded):
        card = replace(CARD, params=lambda c, **o: 0)

        def forward(self, x):
            return super().forward(x) if float(x.detach().sum()) < 1e30 else x

    class BuildsFromValues(Carded):
        card = replace(CARD, params=lambda c, **o: 0)

        def __init__(self, channels):
            super().__init__(channels)
            assert float(torch.ones(()).item()) == 1

    for cls in (LooksAtValues, BuildsFromValues):
        assert_found(cls, "formulas", "gives 0 where 148 were counted")
