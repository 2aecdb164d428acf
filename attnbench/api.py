"""The Python API of the registry and the backbones, re-exported by the package.

Each function imports its dependencies when it is called: listing the modules needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from attnbench.models.sites import Site


def list_modules(selector: str = "@all", /) -> list[str]:
    """Return the names of registered attention modules, sorted.

    Args:
        selector: ``"@all"``, or ``"@family:channel"`` for the modules of one family.

    Raises:
        RequestError: no module is of that family; the message lists the families.
    """
    from attnbench.registry.module_families import select_modules
    from attnbench.registry.plugins import catalog

    found = catalog()
    return select_modules(found.modules, selector, found.modules.names())


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
    from attnbench.registry.attention import find_attention
    from attnbench.registry.specs import parse_spec

    spec = parse_spec(name, "module").given(**options)
    return find_attention(spec).build(channels, feature_size)


def create_backbone(name: str, /, **options: Any) -> nn.Module:
    """Return a backbone: ``"mobilenet_v1"``, any torchvision classifier, ``"timm:NAME"``.

    Args:
        name: name or spec (``"mobilenet_v1,width=0.75"``).
        options: ``width``, ``num_classes``, and options of the library's builder (``weights=``).

    Raises:
        UnknownNameError: no backbone has this name.
        RequestError: the backbone does not accept an option.
    """
    from attnbench.models.backbones import build_backbone

    return build_backbone(name, **options)


def find_sites(model: nn.Module, input_size: Sequence[int] = (1, 3, 224, 224), /) -> list[Site]:
    """Return the insertion sites: a MobileNet's layers, or every module of any other network.

    Raises:
        CountingError: the model's forward pass fails on that input.
    """
    from attnbench.models.sites import SiteSurvey

    return SiteSurvey(model, input_size).sites()
