from __future__ import annotations

from fractions import Fraction

import pytest

from attnbench.errors import RequestError
from attnbench.reports.tables.number_format import (
    decimal,
    ratio,
    read_printed,
    spread,
    whole,
    with_sign,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("261.88M", 261_880_000),
        ("4.2M", 4_200_000),
        ("524k", 524_000),
        ("0.03M", 30_000),
        ("1.5G", 1_500_000_000),
        ("33x", 33),
        ("82.16×", Fraction("82.16")),
        ("70.65", Fraction("70.65")),
        ("70.65%", Fraction("70.65")),
        ("3,504,872", 3_504_872),
        ("4.2 M", 4_200_000),
        ("-1.5k", -1500),
        (70.65, Fraction("70.65")),
    ],
)
def test_printed_figures_are_read_exactly(text, value):
    printed = read_printed(text)
    assert printed.units * printed.unit == value


@pytest.mark.parametrize(
    "text", ["", "about 4M", "4.2MB", "1e6", "4..2M", "M", "12,34", "٣M", "4,2M"]
)
def test_what_is_no_figure_is_refused_by_name(text):
    with pytest.raises(RequestError, match=r"got .* 261\.88M, 524k, 33x or 70\.65"):
        read_printed(text)


def way_of(printed, value):
    """Whether rounding or cutting gives the printed figure."""
    value = Fraction(value)
    ways = {(True, True): "both", (True, False): "rounded", (False, True): "cut"}
    return ways.get((printed.is_rounded(value), printed.is_cut(value)), "neither")


@pytest.mark.parametrize(
    ("text", "value", "way"),
    [
        # cut, rounded up, rounded down, and just outside
        ("277.34M", 277_345_536, "cut"),
        ("284.54M", 284_539_456, "rounded"),
        ("269.07M", 269_079_000, "cut"),
        ("269.08M", 269_079_000, "rounded"),
        ("269.09M", 269_079_000, "neither"),
        ("269.06M", 269_079_000, "neither"),
        ("224.16M", 223_770_112, "neither"),
        ("3.4M", 3_470_760, "cut"),
        ("3.5M", 3_470_760, "rounded"),
        ("3.6M", 3_470_760, "neither"),
        ("524k", 524_288, "both"),
        ("66k", 65_536, "rounded"),
        ("65k", 65_536, "cut"),
        ("33x", 32, "neither"),
        ("33x", Fraction(32_866, 1024), "neither"),
        ("0.16x", Fraction(32_768, 200_704), "both"),
        ("0.26x", Fraction(51_976, 200_704), "rounded"),
        ("1x", 1, "both"),
        ("0.2M", 200_704, "both"),
        # halves go up, and may be cut
        ("2.5M", 2_450_000, "rounded"),
        ("2.4M", 2_450_000, "cut"),
        ("2.5M", 2_449_999, "neither"),
        ("-2.4M", -2_449_999, "both"),
        ("2.4M", -2_449_999, "neither"),
        ("0", 0, "both"),
    ],
)
def test_rounded_or_cut(text, value, way):
    assert way_of(read_printed(text), value) == way


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("2.97M", 2_968_896, "2.9689M"),
        ("277.34M", 277_345_536, "277.3455M"),
        ("4.2M", 4_201_024, "4.201M"),
        ("4.2M", 4_200_000, "4.2M"),
        ("300M", 300_774_272, "300.77M"),
        ("300M", 300_000_000, "300M"),
        ("524k", 524_288, "524.29k"),
        ("33x", 32, "32x"),
        ("33x", Fraction(32_866, 1024), "32.1x"),
        ("0.16x", Fraction(32_768, 200_704), "0.1633x"),
        ("10x", 100, "100x"),
    ],
)
def test_ours_beside_a_printed_figure(text, value, shown):
    assert read_printed(text).beside(Fraction(value)) == shown


@pytest.mark.parametrize(
    ("text", "value", "way", "shown"),
    [
        # 3,504,872 parameters, as ECA-Net prints them
        ("3.34M", 3_504_872, "both", "3.3425M"),
        ("3.50M", 3_504_872, "neither", "3.3425M"),
        ("24.37M", 25_557_112, "both", "24.3732M"),
        ("32k", 32_768, "both", "32k"),
        ("3.86G", 4_147_732_000, "both", "3.8629G"),
        ("70.65", Fraction("70.65"), "both", "70.65"),
    ],
)
def test_figures_in_powers_of_1024(text, value, way, shown):
    printed = read_printed(text, base=1024)
    assert way_of(printed, value) == way
    assert printed.beside(Fraction(value)) == shown


def test_decimals_round_halves_away_from_zero():
    assert decimal(Fraction("0.125"), 2) == "0.13"
    assert decimal(Fraction("-0.125"), 2) == "-0.13"
    assert decimal(Fraction("-0.001"), 2) == "0.00"
    assert decimal(Fraction(7), 0) == "7"


def test_counts_are_never_rounded():
    assert whole(12_345_678_901) == "12,345,678,901"
    assert (with_sign(812), with_sign(-117_780), with_sign(0)) == ("+812", "-117,780", "0")


def test_ratios_below_one_keep_their_digits():
    assert ratio(Fraction(68_513, 2572)) == "26.64x"
    assert ratio(Fraction(32_768, 200_704)) == "0.1633x"
    assert ratio(Fraction(0)) == "0.00x"


def test_spread_is_one_text_or_a_range():
    assert spread(["7"]) == "7"
    assert spread(["7", "7"]) == "7"
    assert spread(["7", "8", "9"]) == "7 to 9"
    assert spread([]) == "–"
