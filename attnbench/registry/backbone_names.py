"""Names of backbones and of backbone families, available without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ListedBackbone:
    """A backbone, or a family of backbones, as shown in listings."""

    name: str
    title: str
    source: str
    options: Mapping[str, str]


_COMMON = {"num_classes": "outputs of the classifier (1000)"}
_MOBILENET = {"width": "multiplier of all channel counts (1.0)", **_COMMON}
_OTHER = {**_COMMON, "...": "what its builder takes"}

BACKBONES = tuple(
    ListedBackbone(name, f"{title}, any width", source, _MOBILENET)
    for name, title, source in (
        ("mobilenet_v1", "MobileNetV1", "attnbench"),
        ("mobilenet_v2", "MobileNetV2", "torchvision"),
        ("mobilenet_v3_small", "MobileNetV3 small", "torchvision"),
        ("mobilenet_v3_large", "MobileNetV3 large", "torchvision"),
    )
)

FAMILIES = (
    ListedBackbone(
        "NAME",
        "any other torchvision classifier, by its torchvision name (resnet50)",
        "torchvision",
        _OTHER,
    ),
    ListedBackbone(
        "timm:NAME",
        "any timm classifier, by its timm name (timm:mobilenetv1_100)",
        "timm (extra)",
        _OTHER,
    ),
    ListedBackbone(
        "FILE.py:NAME",
        "your own: a function or class that returns a network; or package.module:NAME",
        "a file",
        {"...": "the arguments of the callable"},
    ),
)


def is_own_backbone(name: str) -> bool:
    """Return whether a name denotes a callable: ``FILE.py:factory``, ``package.module:attr``."""
    return ":" in name and not name.startswith("timm:")


def is_backbone(name: str) -> bool:
    """Return whether a name certainly denotes a backbone, determined without torchvision."""
    return name.startswith("timm:") or any(name == backbone.name for backbone in BACKBONES)
