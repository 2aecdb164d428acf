"""What timm's attention layers cost, by formula, where that is short. Imports no torch.

``C`` channels, ``h`` squeezed channels, ``k`` the kernel, ``N = HW`` positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def rounded(value: float, divisor: int, limit: float = 0.9) -> int:
    """Return a width rounded the way timm does: a multiple of ``divisor``, not far below."""
    near = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return near + divisor if near < limit * value else near


def squeeze(
    ratio: float, divisor: int = 8, limit: float = 0.0, factor: float = 1.0
) -> Callable[..., int]:
    """Return ``h(channels, **options)`` of a layer with these defaults."""

    def hidden(
        channels: int,
        rd_ratio: float = ratio,
        rd_channels: int | None = None,
        rd_divisor: int = divisor,
        se_factor: float = factor,
        **_options: Any,
    ) -> int:
        return rd_channels or rounded(channels * rd_ratio * se_factor, rd_divisor, limit)

    return hidden


_se = squeeze(1 / 16)
_cbam = squeeze(1 / 16, divisor=1)
_gc = squeeze(1 / 8, divisor=1)
_coord = squeeze(1 / 16, factor=2 / 3)
_scoord = squeeze(1 / 4, factor=2 / 3)
_nl = squeeze(1 / 8, limit=0.9)
_ecam = squeeze(1 / 8, limit=0.9)


def se_params(channels: int, *, bias: bool = True, **options: Any) -> int:
    """Return 2Ch, and h + C for the biases."""
    hidden = _se(channels, **options)
    return 2 * channels * hidden + (hidden + channels if bias else 0)


def se_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return 2Ch."""
    return 2 * channels * _se(channels, **options)


def ese_params(channels: int, **_options: Any) -> int:
    """Return C^2 + C."""
    return channels**2 + channels


def ese_macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return C^2."""
    return channels**2


def eca_kernel(channels: int, gamma: float = 2, beta: float = 1, **_options: Any) -> int:
    """Return k: the next odd number, 3 at least."""
    t = int(abs(math.log(channels, 2) + beta) / gamma)
    return max(t if t % 2 else t + 1, 3)


def eca_params(channels: int, **options: Any) -> int:
    """Return k."""
    if options.get("use_mlp"):
        return ecam_params(channels, **options)
    return eca_kernel(channels, **options)


def eca_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return kC."""
    if options.get("use_mlp"):
        return ecam_macs(channels, height, width, **options)
    return eca_kernel(channels, **options) * channels


def ecam_params(channels: int, **options: Any) -> int:
    """Return 2h + kh + 1: one input channel to h, and back, with biases."""
    hidden = _ecam(channels, **options)
    return 2 * hidden + eca_kernel(channels, **options) * hidden + 1


def ecam_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return (1 + k)hC."""
    hidden = _ecam(channels, **options)
    return (1 + eca_kernel(channels, **options)) * hidden * channels


def gc_params(
    channels: int,
    *,
    use_attn: bool = True,
    fuse_add: bool = False,
    fuse_scale: bool = True,
    **options: Any,
) -> int:
    """Return C + 1, and 2Ch + 3h + C for each of the two ways in which the context comes back."""
    hidden = _gc(channels, **options)
    back = 2 * channels * hidden + 3 * hidden + channels
    return use_attn * (channels + 1) + (fuse_add + fuse_scale) * back


def gc_macs(
    channels: int,
    height: int,
    width: int,
    *,
    use_attn: bool = True,
    fuse_add: bool = False,
    fuse_scale: bool = True,
    **options: Any,
) -> int:
    """Return 2CN, and 2Ch for each of the two ways."""
    pooled = use_attn * 2 * channels * height * width
    return pooled + (fuse_add + fuse_scale) * 2 * channels * _gc(channels, **options)


def gca_params(channels: int, **options: Any) -> int:
    """Return C + 1 + 2Ch + 3h + C."""
    return gc_params(channels, **{**options, "fuse_add": True, "fuse_scale": False})


def gca_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return 2CN + 2Ch."""
    fixed = {**options, "fuse_add": True, "fuse_scale": False}
    return gc_macs(channels, height, width, **fixed)


def cbam_params(
    channels: int, *, spatial_kernel_size: int = 7, mlp_bias: bool = False, **options: Any
) -> int:
    """Return 2Ch, h + C for biases, and 2k^2 + 2 for the spatial gate."""
    return _cbam_mlp(channels, mlp_bias, **options) + 2 * spatial_kernel_size**2 + 2


def cbam_macs(
    channels: int, height: int, width: int, *, spatial_kernel_size: int = 7, **options: Any
) -> int:
    """Return 4Ch + 2k^2 N."""
    gate = 2 * spatial_kernel_size**2 * height * width
    return 4 * channels * _cbam(channels, **options) + gate


def lcbam_params(
    channels: int, *, spatial_kernel_size: int = 7, mlp_bias: bool = False, **options: Any
) -> int:
    """Return 2Ch, h + C for biases, and k^2 + 2 for the spatial gate."""
    return _cbam_mlp(channels, mlp_bias, **options) + spatial_kernel_size**2 + 2


def lcbam_macs(
    channels: int, height: int, width: int, *, spatial_kernel_size: int = 7, **options: Any
) -> int:
    """Return 2Ch + k^2 N."""
    gate = spatial_kernel_size**2 * height * width
    return 2 * channels * _cbam(channels, **options) + gate


def _cbam_mlp(channels: int, bias: bool, **options: Any) -> int:
    hidden = _cbam(channels, **options)
    return 2 * channels * hidden + (hidden + channels if bias else 0)


def coord_params(channels: int, *, bias: bool = False, **options: Any) -> int:
    """Return 3Ch + 2h, and h + 2C for biases."""
    hidden = _coord(channels, **options)
    return 3 * channels * hidden + 2 * hidden + (hidden + 2 * channels if bias else 0)


def coord_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return 2Ch(H + W)."""
    return 2 * channels * _coord(channels, **options) * (height + width)


def scoord_params(channels: int, *, bias: bool = True, **options: Any) -> int:
    """Return 3Ch, and h + 2C for biases."""
    hidden = _scoord(channels, **options)
    return 3 * channels * hidden + (hidden + 2 * channels if bias else 0)


def scoord_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return 2Ch(H + W)."""
    return 2 * channels * _scoord(channels, **options) * (height + width)


def ela_params(channels: int, *, kernel_size: int = 7, bias: bool = False, **_options: Any) -> int:
    """Return 2kC + 4C, and 2C for biases."""
    return 2 * kernel_size * channels + 4 * channels + (2 * channels if bias else 0)


def ela_macs(
    channels: int, height: int, width: int, *, kernel_size: int = 7, **_options: Any
) -> int:
    """Return kC(H + W)."""
    return kernel_size * channels * (height + width)


def strip_params(
    channels: int,
    *,
    use_conv: bool = True,
    kernel_size: int = 3,
    bias: bool = False,
    **_options: Any,
) -> int:
    """Return 2kC, and 2C for biases; nothing without the convolutions."""
    return use_conv * 2 * channels * (kernel_size + bias)


def strip_macs(
    channels: int,
    height: int,
    width: int,
    *,
    use_conv: bool = True,
    kernel_size: int = 3,
    **_options: Any,
) -> int:
    """Return kC(H + W)."""
    return use_conv * kernel_size * channels * (height + width)


def nl_params(channels: int, **options: Any) -> int:
    """Return 4Ch + 3h + 3C: four layers with biases, and a norm."""
    hidden = _nl(channels, **options)
    return 4 * channels * hidden + 3 * hidden + 3 * channels


def nl_macs(channels: int, height: int, width: int, **options: Any) -> int:
    """Return 4ChN + 2hN^2."""
    hidden, positions = _nl(channels, **options), height * width
    return 4 * channels * hidden * positions + 2 * hidden * positions**2
