"""Any attnbench module where timm takes an attention layer. Imports no timm.

    layer = attnbench.timm_layer("ulsam,groups=4")
    timm.create_model("resnet26", block_args=dict(attn_layer=layer))
    timm.create_model("efficientnet_b0", se_layer=layer)

timm calls such a layer with the channels and with what its own layers may take: ratios of a
squeeze, activations, a device. What has a meaning for the module is translated, what only shapes
timm's own layers is left aside, and what would change the shape or is unknown is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attnbench.errors import RequestError, suggestion
from attnbench.models.insertion import as_attention
from attnbench.registry.attention import Attention
from attnbench.registry.specs import Spec, parse_spec, value_text

if TYPE_CHECKING:
    from attnbench.registry.validation import ModuleFactory

_OF_TIMMS_OWN = frozenset(
    {
        "act_layer",
        "aa_layer",
        "drop_layer",
        "force_act_layer",
        "gate_layer",
        "norm_layer",
        "rd_channels",
        "rd_divisor",
        "rd_ratio",
        "rd_round_fn",
    }
)
"""What timm tells its layers of how they are made: for another module it has no meaning."""
_NEUTRAL: Mapping[str, Any] = {"stride": 1, "dilation": 1, "groups": 1}
"""What a module keeps to; anything else would be another layer."""
_WIDTHS = ("out_channels", "dim_out", "out_chs")
_PROBE = (8, {"rd_ratio": 1.0})
"""How timm's EfficientNets find out whether a layer takes a ratio; they drop what is returned."""


def timm_layer(module: str | Spec | Attention | ModuleFactory, /, **options: Any) -> TimmLayer:
    """Return a module as a layer for timm: for ``attn_layer``, ``se_layer``, ``create_attn``.

    ``rd_ratio`` and ``rd_channels`` become the module's ``reduction`` where it has one and none is
    given here (the nearest whole number of ``1 / rd_ratio``), ``feat_size`` its ``feature_size``;
    ``device`` and ``dtype`` are honoured. Activations and norms that timm would give its own layers
    are left aside: the module keeps its own. Note that most timm models draw the weights of all
    their convolutions afresh when they are built, those within attention layers too.

    Args:
        module: a registered name or spec, or a class or function ``channels -> nn.Module``.
        options: of the module; they win over what timm passes.

    Raises:
        UnknownNameError: no such module.
        RequestError: it does not take these options.
    """
    layer = TimmLayer(as_attention(module, options), {**_written(module), **options})
    layer.made_by = module, options
    return layer


def _again(module: Any, options: Mapping[str, Any]) -> TimmLayer:
    return timm_layer(module, **options)


def _written(module: str | Spec | Attention | ModuleFactory) -> Mapping[str, Any]:
    """Return the options that were written with a module, those at their defaults too."""
    if isinstance(module, str):
        return parse_spec(module, "module").options
    if isinstance(module, Attention):
        return module.spec.options
    return module.options if isinstance(module, Spec) else {}


class TimmLayer:
    """A callable that builds a module the way timm calls its attention layers.

    Args:
        attention: the module.
        by_hand: the options that were given with it.
    """

    def __init__(self, attention: Attention, by_hand: Mapping[str, Any]) -> None:
        self.attention = attention
        self.by_hand = dict(by_hand)
        self.__name__ = str(attention.spec)
        self.made_by: tuple[Any, Mapping[str, Any]] = attention, {}
        """What :func:`timm_layer` was given."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what it was made by: timm keeps it in the model, and cards hold functions."""
        return _again, self.made_by

    def __repr__(self) -> str:
        """Return it as it is written."""
        return f"attnbench.timm_layer({str(self.attention.spec)!r})"

    def __call__(
        self,
        channels: int,
        *,
        feat_size: tuple[int, int] | int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **given: Any,
    ) -> nn.Module:
        """Return a fresh module for maps of ``channels`` channels.

        Raises:
            RequestError: an argument that the module cannot honour, or it refuses these channels.
        """
        probed = (channels, given) == _PROBE
        size = (feat_size, feat_size) if isinstance(feat_size, int) else feat_size
        attention = self._asked(channels, given)
        try:
            built = attention.build(channels, size)
        except RequestError as error:
            if probed:
                return _Refused(str(error))
            raise
        return built.to(device=device, dtype=dtype)

    def _asked(self, channels: int, given: Mapping[str, Any]) -> Attention:
        """Return the module with the options that the arguments stand for."""
        options: dict[str, Any] = {}
        for key, value in given.items():
            if key in self.attention.signature.options:
                options |= self._own(key, value)
            elif value is not None:
                self._check(key, value, channels)
        options |= self._reduction(channels, given)
        return self.attention.given(**options) if options else self.attention

    def _own(self, key: str, value: Any) -> dict[str, Any]:
        """Return an argument that is an option of the module, unless it was given by hand."""
        if key in _OF_TIMMS_OWN and (key in self.by_hand or not _is_plain(value)):
            return {}
        if key in self.by_hand and self.by_hand[key] != value:
            raise RequestError(
                f"{self!r}: {key}={value_text(value)} is passed as well; say it in one place"
            )
        return {key: value}

    def _reduction(self, channels: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reduction that timm's ratio or number of squeezed channels stands for."""
        known = self.attention.signature.options
        if "reduction" not in known or "reduction" in {*self.by_hand, *given}:
            return {}
        squeezed, ratio = given.get("rd_channels"), given.get("rd_ratio")
        if squeezed and "rd_channels" not in known:
            return {"reduction": self._whole(channels / squeezed, f"rd_channels={squeezed}")}
        if ratio and "rd_ratio" not in known:
            return {"reduction": self._whole(1 / ratio, f"rd_ratio={ratio}")}
        return {}

    def _whole(self, reduction: float, text: str) -> int:
        if reduction < 1:
            raise RequestError(f"{self!r}: {text} would widen, and a reduction is 1 or more")
        return round(reduction)

    def _check(self, key: str, value: Any, channels: int) -> None:
        """Raise unless an argument that is no option of the module may be left aside."""
        if key in _OF_TIMMS_OWN or (key in _NEUTRAL and value == _NEUTRAL[key]):
            return
        if key in _WIDTHS and value == channels:
            return
        if key in _NEUTRAL or key in _WIDTHS:
            raise RequestError(
                f"{self!r}: {key}={value} is asked of it, and a module keeps the shape of "
                f"{channels}-channel maps; use it where timm puts a layer behind a convolution"
            )
        known = [*self.attention.signature.options, *_OF_TIMMS_OWN]
        raise RequestError(
            f"{self!r} is passed {key}={value_text(value)}, which {self.attention.name} does not "
            f"take; leave it out of attn_kwargs.{suggestion(key, known)}"
        )


class _Refused(nn.Module):
    """What stands for a module that cannot be built at timm's trial call; it never runs."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def forward(self, x: Tensor) -> Tensor:
        raise RequestError(self.reason)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
