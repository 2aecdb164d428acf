"""Layer numbers of MobileNets as in the ULSAM tables; the stem is layer 1."""

from __future__ import annotations

import sys

from torch import nn

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
_V3_SMALL_LAYERS = 13  # the large one has 17


def numbered_layers(model: nn.Module) -> dict[int, str]:
    """Return a mapping from layer number to module path; empty for a network of unknown class.

    The known classes are torchvision's MobileNets, ours, and timm's MobileNetV1 and V2.
    """
    if _timm_family(model):
        blocks = [path for stage in _children(model, "blocks") for path in _children(model, stage)]
        paths = ["bn1", *blocks] + (["bn2"] if _has_head(model) else [])
    elif _features_family(model):
        paths = _children(model, "features")
    else:
        paths = []
    return dict(enumerate(paths, start=1))


def family_of(model: nn.Module) -> str | None:
    """Return the family of a model in :data:`FAMILIES`, None for any other network."""
    return _timm_family(model) or _features_family(model)


def _features_family(model: nn.Module) -> str | None:
    from torchvision.models import MobileNetV2, MobileNetV3

    from attnbench.models.mobilenet_v1 import MobileNetV1

    if isinstance(model, MobileNetV1):
        return "mobilenet_v1"
    if isinstance(model, MobileNetV2):
        return "mobilenet_v2"
    if isinstance(model, MobileNetV3):
        small = len(_children(model, "features")) <= _V3_SMALL_LAYERS
        return "mobilenet_v3_small" if small else "mobilenet_v3_large"
    return None


def _timm_family(model: nn.Module) -> str | None:
    timm = sys.modules.get("timm")  # a timm model cannot exist before timm was imported
    if timm is None or not isinstance(model, timm.models.EfficientNet):
        return None
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    name = str(config.get("architecture", ""))
    for prefix, family in (("mobilenetv1_", "mobilenet_v1"), ("mobilenetv2_", "mobilenet_v2")):
        if name.startswith(prefix):
            return family
    return None


def _has_head(model: nn.Module) -> bool:
    # timm's MobileNetV1 has the attribute too, as an Identity
    return isinstance(getattr(model, "conv_head", None), nn.Conv2d)


def _children(model: nn.Module, path: str) -> list[str]:
    return [f"{path}.{name}" for name, _ in model.get_submodule(path).named_children()]
