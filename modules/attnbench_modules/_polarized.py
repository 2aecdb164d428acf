"""What both layouts of polarized self-attention share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from attnbench.cards import Paper
from attnbench_modules._pooling import channel_means

Softmax = Literal["scores", "values", "query"]
"""What the softmax of the spatial branch is taken of."""

SOFTMAX_OPTION = (
    "what the spatial branch takes the softmax of: scores = the scores, over positions; values = "
    "the values, over positions; query = the pooled query, over channels"
)
PAPER = Paper(
    key="liu2021polarized",
    title="Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
    authors=("Liu, Huajun", "Liu, Fuqiang", "Fan, Xinyi", "Huang, Dong"),
    venue="arXiv preprint arXiv:2107.00782",
    kind="article",
    short="Liu, arXiv'21",
    year=2021,
    url="https://arxiv.org/abs/2107.00782",
)
OTHER_PSA_TRAP = "PSA also stands for pyramid split attention (EPSANet), which is another module."
OFFICIAL_NOTE = (
    "The original's high-resolution network has the sequential layout in its basic blocks, between "
    "the two 3x3 convolutions, after norm and activation of the first. Our translation: after the "
    "depthwise convolution of every MobileNet block, on the expanded channels."
)


def projection(channels: int, width: int) -> nn.Conv2d:
    """Return a 1x1 convolution without bias, C -> width."""
    layer = nn.Conv2d(channels, width, 1, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def spatial_gate(queries: Tensor, values: Tensor, softmax: Softmax) -> Tensor:
    """Return, from 0 to 1, how much each position is like the mean query: -> (B, 1, H, W).

    Args:
        queries: (B, i, H, W).
        values: (B, i, H, W).
        softmax: what of the mean, the values and the scores goes through a softmax.
    """
    row = channel_means(queries).flatten(2).transpose(1, 2)  # (B, 1, i)
    flat = values.flatten(2)  # (B, i, N)
    if softmax == "query":
        row = torch.softmax(row, 2)
    if softmax == "values":
        flat = torch.softmax(flat, 2)
    scores = row @ flat  # (B, 1, N)
    if softmax == "scores":
        scores = torch.softmax(scores, 2)
    shaped: Tensor = torch.unflatten(torch.sigmoid(scores), 2, values.shape[2:])
    return shaped
