"""SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks.

ICML 2021, https://proceedings.mlr.press/v139/yang21o.html.
Original code: https://github.com/ZjjConan/SimAM

    m, v = mean and variance over the positions of x           (B, C, 1, 1)
    y = x * sigmoid((x - m)^2 / (4 (v + lambda)) + 1/2)        (B, C, H, W)

The gate is the inverse of the least energy that tells a value from the others of its channel: what
lies far from the mean is kept more. v is divided by N - 1. There is nothing to train.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, Traits
from attnbench_modules._pooling import channel_means, variances
from attnbench_modules._shared import check, whole


class SimAM(nn.Module):
    """Scale each value by how far it is from its channel's mean: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, e_lambda: float = 1e-4) -> None:
        super().__init__()
        check(type(self), channels, e_lambda=e_lambda)
        self.e_lambda = e_lambda

    def forward(self, x: Tensor) -> Tensor:
        """Gate each value: (B, C, H, W) -> (B, C, H, W)."""
        squares = (x - channel_means(x)).square()
        spread = variances(squares, times=4) + 4 * self.e_lambda
        return x * (squares / spread).add_(0.5).sigmoid_()  # gradients need neither value between


def params(channels: int, **_options: Any) -> int:
    """Return 0."""
    return 0


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 0: there is no convolution and no product of matrices."""
    return 0


SimAM.card = Card(
    title="Simple parameter-free attention (SimAM)",
    family="parameter-free",
    paper=Paper(
        key="yang2021simam",
        title=(
            "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks"
        ),
        authors=("Yang, Lingxiao", "Zhang, Ru-Yuan", "Li, Lida", "Xie, Xiaohua"),
        venue="International Conference on Machine Learning (ICML)",
        short="Yang, ICML'21",
        year=2021,
        url="https://proceedings.mlr.press/v139/yang21o.html",
    ),
    traits=Traits(),
    options={"e_lambda": "lambda, added to the variance; the paper's ImageNet runs have 0.1"},
    constraints=(
        whole("channels"),
        Constraint(
            "e_lambda must be above 0, or a channel without variance would be divided by 0",
            lambda channels, e_lambda=1e-4, **_: e_lambda > 0,
        ),
    ),
    official={"*": "after-depthwise:all"},
    official_note=(
        "The original MobileNetV2 has it between every depthwise convolution and its norm. Our "
        "translation: after that norm and its activation."
    ),
    params=params,
    macs=macs,
    params_text="0",
    macs_text="0",
    formula_tex=r"""m = \mathrm{mean}_{HW}(x), \quad v = \mathrm{var}_{HW}(x)
y = \sigma\left(\frac{(x - m)^2}{4(v + \lambda)} + \frac{1}{2}\right) \odot x""",
    deviations=(
        "On a 1x1 map the original divides 0 by 0; here the variance of one value is 0 and x is "
        "scaled by sigmoid(1/2).",
    ),
    timm="timm has none.",
    traps=(
        "Its cost is all in memory: no parameter and no multiply-add is counted, but the map is "
        "read and written many times.",
        "The class has lambda = 1e-4, the published ImageNet commands 0.1.",
    ),
    license="none given (ZjjConan/SimAM)",
)
