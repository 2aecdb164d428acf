"""Figures of a column: numbers as siunitx reads them, counts in one unit."""

import pytest

from attnbench.reports.paper.figures import Figure, count_figures, mark_best, read_figure


@pytest.mark.parametrize(
    ("texts", "number", "low", "high", "unit"),
    [
        (("+4.2%", "[+3.8, +4.6]"), "4.2", "3.8", "4.6", "%"),
        (("-0.3%", "[-0.9, +0.3]"), "-0.3", "-0.9", "0.3", "%"),
        (("12.3x", "[12.1, 12.5]"), "12.3", "12.1", "12.5", "×"),
        (("1,140x", "[1,100, 1,190]"), "1140", "1100", "1190", "×"),
        (("92.31 [92.05, 92.57]",), "92.31", "92.05", "92.57", ""),
        (("261.88M",), "261.88", "", "", "M"),
        (("4.59 MiB",), "4.59", "", "", "MiB"),
        (("3,504,872",), "3504872", "", "", ""),
    ],
)
def test_a_figure_is_read(texts, number, low, high, unit):
    assert read_figure(*texts) == Figure(number, low, high, unit=unit)


@pytest.mark.parametrize("text", ["A/A", "failed", "4,234,539 to 4,234,584", "–", "g = 4"])
def test_what_is_no_figure_stays_a_text(text):
    assert read_figure(text) == Figure(text=text)


def texts_of(figures):
    return [figure.number or figure.text for figure in figures]


@pytest.mark.parametrize(
    ("counts", "unit", "texts"),
    [
        ([[812], [1024], [0]], "", ["812", "1024", "0"]),
        ([[3_504_872], [3_506_000]], "M", ["3.50", "3.51"]),
        ([[300_774_272], [301_000_000]], "M", ["301", "301"]),
        ([[0], [28], [10_000], [446_000]], "k", ["0.0", "<0.1", "10.0", "446.0"]),
        ([[-115_776], [12_000]], "k", ["-115.8", "12.0"]),
        ([[], [2_000_000], [2_100_000]], "M", ["–", "2.00", "2.10"]),
    ],
)
def test_counts_share_a_unit_and_three_digits(counts, unit, texts):
    figures, found = count_figures(counts)
    assert (texts_of(figures), found) == (texts, unit)


def test_ours_has_the_unit_of_the_printed_figure_and_a_digit_more():
    printed = [read_figure("277.34M"), read_figure("300M")]
    figures, unit = count_figures([[278_120_000], [300_774_272]], printed)
    assert (texts_of(figures), unit) == (["278.120", "300.774"], "M")


def test_cases_that_differ_only_beyond_the_digits_are_one_figure():
    (same,), _ = count_figures([[4_234_539, 4_234_584]], [read_figure("4.2M")])
    assert same.number == "4.23"
    (both,), _ = count_figures([[2_865_000, 2_867_000]], [read_figure("2.77M")])
    assert both.text == "2.865–2.867"


def test_the_best_is_found_among_the_eligible_only():
    figures = [Figure("0.1"), Figure("2.5"), Figure("1.7"), Figure(text="failed")]
    marked = mark_best(figures, "min", [False, True, True, True])
    assert [figure.is_best for figure in marked] == [False, False, True, False]
    assert not any(figure.is_best for figure in mark_best(figures[:1], "min", [True]))
