"""Attention modules by name, as networks of their own."""

from typing import Any

from torch import nn

from attnbench.registry.attention import find_attention
from attnbench.registry.specs import parse_spec


def create_module(
    name: str, channels: int, /, *, feature_size: tuple[int, int] | None = None, **options: Any
) -> nn.Module:
    """Return an attention module for (B, channels, h, w) maps.

    Args:
        name: registered name or spec (``"ulsam,groups=4"``), or ``"my.py:MyAttention"``.
        channels: number of channels of its input and output.
        feature_size: (h, w) of the feature map, where the module needs it.
        options: options of the module.

    Raises:
        UnknownNameError: no module has this name.
        RequestError: the module does not accept these options or this number of channels.
    """
    return find_attention(parse_spec(name, "module").with_options(**options)).build(
        channels, feature_size
    )
