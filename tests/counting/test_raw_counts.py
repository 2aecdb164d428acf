from attnbench.counting.raw_counts import RawCount, RawCounts


def test_numbers_by_operator():
    rows = (RawCount("conv", 4, 4), RawCount("conv", 6, 6), RawCount("conv bias", 2, 0, "bias"))
    assert RawCounts("x", "1", "unit", 1, 12, rows, {}).per_operator == {"conv": 10, "conv bias": 2}
