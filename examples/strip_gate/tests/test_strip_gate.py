"""Strip gate: attnbench's checks, and a plain reference."""

import math

import pytest
import torch
from attnbench.testing import ModuleConformance
from torch import Tensor, nn

from strip_gate import MODULES
from strip_gate.module import StripGate


class TestStripGate(ModuleConformance):
    """Everything that `attnbench check` looks at, each check a test of its own."""

    module = StripGate


def strip(means: list[float], weight: list[float], bias: float, at: int) -> float:
    """The gate of one row or column: zeros stand beyond the ends."""
    half = len(weight) // 2
    score = bias
    for k, w in enumerate(weight):
        place = at + k - half
        if 0 <= place < len(means):
            score += w * means[place]
    return 2 / (1 + math.exp(-score))


def reference(x: Tensor, rows: nn.Conv1d, columns: nn.Conv1d) -> Tensor:
    """The formula again, number by number, with nothing of the class in it."""
    (row_weight, row_bias), (column_weight, column_bias) = (
        [one.tolist() for one in conv.parameters()] for conv in (rows, columns)
    )
    batch, channels, height, width = x.shape
    y = torch.empty_like(x)
    for b in range(batch):
        for c in range(channels):
            grid = x[b, c].tolist()
            across = [sum(line) / width for line in grid]
            down = [sum(line[j] for line in grid) / height for j in range(width)]
            for i in range(height):
                for j in range(width):
                    row = strip(across, row_weight[c][0], row_bias[c], i)
                    column = strip(down, column_weight[c][0], column_bias[c], j)
                    y[b, c, i, j] = grid[i][j] * row * column
    return y


@pytest.mark.parametrize("size", [(4, 6), (1, 1), (2, 9)])
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_outputs_are_those_of_the_formula(
    kernel_size: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    module = StripGate(3, kernel_size=kernel_size).double()
    for one in module.parameters():
        nn.init.normal_(one)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        expected = reference(x, module.rows, module.columns)
        torch.testing.assert_close(module(x), expected)


def test_it_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(StripGate(8)(x), x)


@pytest.mark.parametrize("kernel_size", [0, 2, -1])
def test_an_even_kernel_is_refused(kernel_size: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        StripGate(8, kernel_size=kernel_size)


def test_listings_say_what_the_card_says() -> None:
    entry = MODULES["strip_gate"]
    card = StripGate.card
    assert (entry["title"], entry["family"]) == (card.title, card.family)
