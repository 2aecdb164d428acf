from attnbench.counting.counters.raw import Raw, Row


def test_numbers_by_operator():
    rows = (Row("conv", 4, 4), Row("conv", 6, 6), Row("conv bias", 2, 0, "bias"))
    assert Raw("x", "1", "unit", 1, 12, rows, {}).per_operator == {"conv": 10, "conv bias": 2}
