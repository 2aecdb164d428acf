"""Strip gate: each channel is gated by what its rows and its columns hold on average.

    r = mean over a row of x                     (B, C, H)
    c = mean over a column of x                  (B, C, W)
    y = x * 2 sigmoid(f(r)) * 2 sigmoid(g(c))    (B, C, H, W)

f and g are depthwise 1-D convolutions over k neighbouring rows or columns, with bias. They
start at zero, where both factors are 1 and y = x: put into a trained network, the module
changes nothing until it has learned to.
"""

from typing import Any, ClassVar

import torch
from attnbench import Card, Constraint, Traits
from torch import Tensor, nn


class StripGate(nn.Module):
    """Gate each channel by its rows and columns: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, kernel_size: int = 7) -> None:
        super().__init__()
        if not _is_odd(channels, kernel_size=kernel_size):
            raise ValueError(f"kernel_size={kernel_size} is not odd and positive")
        self.rows = _along(channels, kernel_size)
        self.columns = _along(channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the map: (B, C, H, W) -> (B, C, H, W)."""
        rows = torch.sigmoid(self.rows(x.mean(3)))  # (B, C, H)
        columns = torch.sigmoid(self.columns(x.mean(2)))  # (B, C, W)
        return x * (2 * rows).unsqueeze(3) * (2 * columns).unsqueeze(2)


def _along(channels: int, kernel_size: int) -> nn.Conv1d:
    """Return a depthwise convolution along a strip, (B, C, L) -> (B, C, L), of zeros."""
    conv = nn.Conv1d(
        channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
    )
    for one in conv.parameters():
        nn.init.zeros_(one)
    return conv


def params(channels: int, *, kernel_size: int = 7, **_options: Any) -> int:
    """Return 2C(k + 1): k weights and a bias for each channel, along rows and columns."""
    return 2 * channels * (kernel_size + 1)


def macs(
    channels: int, height: int, width: int, *, kernel_size: int = 7, **_options: Any
) -> int:
    """Return Ck(H + W): k for each channel at each row and each column."""
    return channels * kernel_size * (height + width)


def _is_odd(channels: int, *, kernel_size: int = 7, **_options: Any) -> bool:
    return kernel_size >= 1 and kernel_size % 2 == 1


StripGate.card = Card(
    title="Strip gate",
    family="mixed",
    traits=Traits(),
    options={"kernel_size": "rows, or columns, that a gate looks at; odd"},
    constraints=(Constraint("kernel_size must be odd and positive", _is_odd),),
    official={
        "mobilenet_v1": "after-depthwise:all",
        "mobilenet_v2": "after-depthwise:all",
        "mobilenet_v3_small": "after-depthwise:all",
        "mobilenet_v3_large": "after-depthwise:all",
    },
    official_note=(
        "Our choice: after the depthwise convolution of every block, where coordinate "
        "attention stands. In MobileNetV3 the SE that is built in stays."
    ),
    params=params,
    macs=macs,
    params_text="2C(k + 1)",
    macs_text="Ck(H + W)",
    formula="y = x * 2 sigmoid(f(mean of rows)) * 2 sigmoid(g(mean of columns))",
    formula_tex=(
        r"y_{cij} = 4\, x_{cij} \; \sigma\bigl((w^h_c * \bar{x}_{c\cdot})_i + b^h_c\bigr)"
        r"\; \sigma\bigl((w^w_c * \bar{x}_{\cdot c})_j + b^w_c\bigr)"
    ),
    traps=(
        "Channels do not see each other: the convolutions around it have to mix them.",
        "Before training it is the identity: its outputs say nothing about it.",
    ),
    version=1,
)
