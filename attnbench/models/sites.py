"""Sites: the positions in a network where a module can be inserted, found from the network."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from torch import nn

from attnbench.counting.trace import Call, Trace, trace
from attnbench.models.block_layers import BlockLayers, look_inside
from attnbench.utils.html_table import html_table

if TYPE_CHECKING:
    from pandas import DataFrame

Shape = tuple[int, int, int]
"""(channels, height, width)."""

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
_V3_SMALL_LAYERS = 13  # the large one has 17


@dataclass(frozen=True)
class Site:
    """One module of a network, and the placements that it allows.

    ``channels`` and ``size`` describe its output; they are 0 where that is not (B, C, H, W).
    """

    path: str
    layer: int | None
    kind: str
    """Class name of the module."""
    channels: int
    size: tuple[int, int]
    replaceable: bool
    """Flag of a module that keeps the shape, so that another one can replace it."""
    reason: str | None = None
    """Reason why no module can be placed here; None where one can."""
    input: Shape | None = None
    inside: BlockLayers = field(default_factory=BlockLayers)
    """The positions within the block: after-depthwise, after-project, replace-se."""

    @property
    def placeable(self) -> bool:
        """Flag of a site where a module can be placed."""
        return self.reason is None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "layer": self.layer,
            "path": self.path,
            "kind": self.kind,
            "channels": self.channels,
            "size": list(self.size),
            "expanded": self.inside.expanded,
            "replaceable": self.replaceable,
            "placeable": self.placeable,
            "reason": self.reason,
            "after_depthwise": self.inside.depthwise,
            "after_project": self.inside.project,
            "replace_se": self.inside.se,
        }


class SiteSurvey:
    """The structure of a network from one shape-only forward pass; the network is not changed.

    Args:
        model: any ``nn.Module``.
        input_size: ``(1, 3, 224, 224)``.
        owned: as in `attnbench.counting.trace.trace`.

    Raises:
        CountingError: the forward pass fails on that input.
    """

    def __init__(self, model: nn.Module, input_size: Sequence[int], *, owned: bool = False) -> None:
        self.input_size = tuple(input_size)
        self.trace: Trace = trace(model, input_size, owned=owned)
        self.family = family_of(model)
        self.layers = numbered_layers(model)
        self._modules = dict(model.named_modules())
        self._sites: dict[str, Site] = {}
        self._calls: dict[str, list[Call]] = {}
        for call in self.trace.calls:
            self._calls.setdefault(call.path, []).append(call)

    def sites(self) -> list[Site]:
        """Return a MobileNet's layers, or every module of any other network."""
        return [self.site(path) for path in self.layers.values() or self.paths()]

    def paths(self) -> list[str]:
        """Return all module paths, without the root."""
        return [path for path in self._modules if path]

    def is_identity(self, path: str) -> bool:
        """Return whether the module at a path is a ``nn.Identity``, or an empty sequence."""
        module = self._modules[path]
        return isinstance(module, nn.Identity) or (
            type(module) is nn.Sequential and not len(module)
        )

    def site(self, path: str) -> Site:
        """Return the site at a module path."""
        if path not in self._sites:
            self._sites[path] = self._look_at(path)
        return self._sites[path]

    def _look_at(self, path: str) -> Site:
        kind = type(self._modules[path]).__name__
        calls = self._calls.get(path, [])
        reason = self._refusal(path, calls)
        layer = next((number for number, own in self.layers.items() if own == path), None)
        if reason is not None:
            return Site(path, layer, kind, 0, (0, 0), replaceable=False, reason=reason)
        before, after = self.shape(path, before=True), self.shape(path, before=False)
        inside = look_inside(path, self.trace, self._modules)
        # the stem and the head convolution of a MobileNet have numbers but are not blocks
        replaceable = before == after and (layer is None or inside.depthwise is not None)
        return Site(path, layer, kind, after[0], after[1:], replaceable, None, before, inside)

    def shape(self, path: str, *, before: bool) -> Shape:
        """Return the shape of the input or output of a module known to be placeable."""
        call = self._calls[path][0]
        shape = call.inputs[0] if before else call.output
        if shape is None or len(shape) != 4:
            raise ValueError(f"shape must be (B, C, H, W): got {shape}")
        return shape[1], shape[2], shape[3]

    @cached_property
    def _channels_last(self) -> set[tuple[int, ...]]:
        """Shapes at linear layers and layer norms: (B, H, W, C), not (B, C, H, W)."""
        return {
            shape
            for call in self.trace.calls
            if type(self._modules[call.path]) in (nn.Linear, nn.LayerNorm)
            for shape in (*call.inputs, call.output)
            if shape is not None and len(shape) == 4
        }

    @cached_property
    def _names(self) -> Counter[int]:
        """Number of registrations of each module in the network, by its id."""
        children = (child for part in self._modules.values() for child in part._modules.values())
        return Counter(map(id, children))

    def _refusal(self, path: str, calls: list[Call]) -> str | None:
        if not calls:
            return "not called in the forward pass"
        if len(calls) > 1:
            return f"called {len(calls)} times in one forward pass"
        if self._names[id(self._modules[path])] > 1:
            return "registered under several names"  # the called one cannot be determined
        if len(calls[0].inputs) != 1:
            return f"takes {len(calls[0].inputs)} arguments, not one tensor"
        for verb, shape in (("takes", calls[0].inputs[0]), ("returns", calls[0].output)):
            if shape is None:
                return f"{verb} something else than one tensor"
            if len(shape) != 4:
                return f"{verb} a tensor of {len(shape)} axes, not (B, C, H, W)"
            if shape in self._channels_last:
                return f"{verb} (B, H, W, C), not (B, C, H, W)"
        return None


class SiteList(list[Site]):
    """The sites of a network, shown as a table."""

    def to_frame(self) -> "DataFrame":
        """Return a pandas frame with a row for each site, with the columns of the JSON form."""
        from pandas import DataFrame

        return DataFrame([site.to_dict() for site in self], dtype=object)

    def __repr__(self) -> str:
        rows = [_HEAD, *(tuple(map(str, row)) for row in self._rows())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self._rows(), f"{len(self)} sites")

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for site in self:
            size = "x".join(map(str, site.size)) if site.placeable else ""
            replaceable = "yes" if site.replaceable else "no"
            layer = "" if site.layer is None else site.layer
            channels = site.channels or ""
            fits = replaceable if site.placeable else site.reason
            yield layer, site.path, site.kind, channels, size, fits


_HEAD = ("layer", "path", "kind", "channels", "size", "replaceable")


def find_sites(model: nn.Module, input_size: Sequence[int] = (1, 3, 224, 224), /) -> SiteList:
    """Return the insertion sites: a MobileNet's layers, or every module of any other network.

    Raises:
        CountingError: the model's forward pass fails on that input.
    """
    return SiteList(SiteSurvey(model, input_size).sites())


def numbered_layers(model: nn.Module) -> dict[int, str]:
    """Return a mapping from layer number to module path; empty for a network of unknown class.

    The known classes are torchvision's MobileNets, ours, and timm's MobileNetV1 and V2.
    """
    if _timm_family(model):
        blocks = [path for stage in _children(model, "blocks") for path in _children(model, stage)]
        # timm's MobileNetV1 has the attribute too, as an Identity
        has_head = isinstance(getattr(model, "conv_head", None), nn.Conv2d)
        paths = ["bn1", *blocks, *(["bn2"] if has_head else [])]
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
    families = {"mobilenetv1": "mobilenet_v1", "mobilenetv2": "mobilenet_v2"}
    return families.get(name.partition("_")[0]) if "_" in name else None


def _children(model: nn.Module, path: str) -> list[str]:
    return [f"{path}.{name}" for name, _ in model.get_submodule(path).named_children()]
