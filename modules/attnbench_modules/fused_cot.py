"""The inference form of CoT, and the sums over neighbours that both forms share.

The batch norms are folded, that of the sums into the values before them: it scales each channel.
The softmax of two scores is the sigmoid of their difference, so half of the last layer is enough.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench_modules._folding import affine, frozen, traced
from attnbench_modules._pooling import channel_means


class FusedCoT(nn.Module):
    """CoT in eval, faster: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(
        self,
        key: nn.Conv2d,
        embed: tuple[nn.Conv2d, nn.Conv2d, nn.Module],
        value: tuple[nn.Conv2d, Tensor],
        choice: tuple[nn.Linear, nn.Linear],
    ) -> None:
        """Take the layers with their norms folded in; the values with what the sums start from.

        The two of ``choice`` are the squeeze and what gives both scores, channel by channel.
        """
        super().__init__()
        self.key = key
        self.squeeze_both, self.weigh, norm = embed
        self.group_norm = copy.deepcopy(norm).requires_grad_(False)
        self.value, shift = value
        self.shift = nn.Parameter(shift[:, None, None], requires_grad=False)
        self.squeeze, both = choice
        self.kernel_size = key.kernel_size[0]
        self.select = nn.Linear(both.in_features, both.out_features // 2, device="meta")
        for name in ("weight", "bias"):
            first, second = getattr(both, name).detach().double().unflatten(0, (-1, 2)).unbind(1)
            difference = (first - second).to(both.weight)
            setattr(self.select, name, nn.Parameter(difference, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """Sum up neighbours and choose: (B, C, H, W) -> (B, C, H, W)."""
        keys = self.key(x).relu_()
        hidden = self.squeeze_both(torch.cat([x, keys], dim=1)).relu_()
        weights = self.group_norm(self.weigh(hidden))
        sums = local_sums(self.value(x), weights, self.kernel_size)
        sums = F.silu(sums + self.shift, inplace=True)
        pooled = (channel_means(sums) + channel_means(keys)).flatten(1)  # (B, C)
        share = self.select(self.squeeze(pooled).relu_()).sigmoid_()[..., None, None]
        # other runtimes have no operator for the one pass
        return keys + share * (sums - keys) if traced() else torch.lerp(keys, sums, share)


def local_sums(values: Tensor, weights: Tensor, side: int) -> Tensor:
    """Sum up the side x side values around each position, zeros beyond the border.

    Args:
        values: (B, C, H, W).
        weights: (B, s side^2, H, W), those of channel c at place c mod s; s divides C.
        side: odd.

    Returns:
        (B, C, H, W).
    """
    height, width = values.shape[2:]
    share = weights.shape[1] // side**2
    taps = torch.unflatten(weights, 1, (1, share, side**2)).unbind(3)  # (B, 1, s, H, W) each
    padded = torch.unflatten(F.pad(values, [side // 2] * 4), 1, (-1, share))
    seen = _shifted(padded, side, (height, width))
    total = seen[0] * taps[0]
    for one, tap in zip(seen[1:], taps[1:], strict=True):
        # other runtimes have no operator for the one pass
        total = total + one * tap if traced() else torch.addcmul(total, one, tap)
    return total.flatten(1, 2)


def _shifted(padded: Tensor, side: int, size: tuple[int, int]) -> list[Tensor]:
    """Return the side^2 maps of ``size`` that lie in a padded one, row by row."""
    height, width = size
    if traced():
        places = [(i, j) for i in range(side) for j in range(side)]
        return [padded[..., i : i + height, j : j + width] for i, j in places]
    shifted = padded.unfold(-2, height, 1).unfold(-2, width, 1)  # (..., side, side, H, W)
    return [one for row in shifted.unbind(-4) for one in row.unbind(-3)]


def scaled_by_norm(layer: nn.Conv2d, norm: nn.Module) -> tuple[nn.Conv2d, Tensor]:
    """Take the scale of a batch norm into a convolution that has a bias; return it and the shift.

    Raises:
        TypeError: it is no batch norm.
    """
    if not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"expected a BatchNorm2d, found a {type(norm).__name__}")
    scale, shift = affine(norm)
    weight, bias = layer.weight.double() * scale[:, None, None, None], layer.bias
    assert bias is not None  # folded() gives one
    return frozen(layer, weight, bias.double() * scale, layer.weight), shift.to(layer.weight)
