"""Adapter that makes any attnbench module an attention layer of timm. Imports no timm.

    layer = attnbench.timm_layer("ulsam,groups=4")
    timm.create_model("resnet26", block_args=dict(attn_layer=layer))
    timm.create_model("efficientnet_b0", se_layer=layer)

timm calls such a layer with the channels and with options of its own layers: squeeze ratios,
activations, a device. Options that apply to the module are translated, options that concern only
timm's own layers are ignored, and options that would change the shape or are unknown are errors.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.errors import RequestError, suggestion
from attnbench.models.insertion import as_attention
from attnbench.registry.attention import Attention
from attnbench.registry.specs import Spec, parse_spec, value_text

_LAYERS = ("act_layer", "aa_layer", "drop_layer", "force_act_layer", "gate_layer", "norm_layer")
_TIMM_OPTIONS = {*_LAYERS, "rd_channels", "rd_divisor", "rd_ratio", "rd_round_fn"}
"""Options that concern only the construction of timm's own layers; other modules ignore them."""
_NEUTRAL: Mapping[str, Any] = {"stride": 1, "dilation": 1, "groups": 1}
"""Values that leave the layer unchanged; a module accepts no others."""
_WIDTHS = ("out_channels", "dim_out", "out_chs")
"""Options that a module accepts only with the channels of its input."""
_PROBE = (8, {"rd_ratio": 1.0})
"""Trial call of timm's EfficientNets that tests for a ratio option; its result is discarded."""


class TimmLayer:
    """A callable that builds a module the way timm calls its attention layers.

    Args:
        attention: the module.
        by_hand: the options that were given with it, including those at their defaults.
    """

    def __init__(self, attention: Attention, by_hand: Mapping[str, Any]) -> None:
        self.attention = attention
        self.by_hand = dict(by_hand)
        self.__name__ = str(attention.spec)
        self.made_by = partial(timm_layer, attention)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the creating call: timm keeps the layer in the model, and cards hold functions."""
        return self.made_by, ()

    def __repr__(self) -> str:
        """Return the call that creates it."""
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
        """Return a new module for feature maps of ``channels`` channels.

        Raises:
            RequestError: the module does not support an argument or this number of channels.
        """
        probed = (channels, given) == _PROBE
        size = (feat_size, feat_size) if isinstance(feat_size, int) else feat_size
        attention = self._configured(channels, given)
        try:
            built = attention.build(channels, size)
        except RequestError as error:
            if probed:
                return _Refused(str(error))
            raise
        return built.to(device=device, dtype=dtype)

    def _configured(self, channels: int, given: Mapping[str, Any]) -> Attention:
        """Return the module with the options that correspond to the arguments."""
        options: dict[str, Any] = {}
        for key, value in given.items():
            if key in self.attention.signature.options:
                options |= self._own(key, value)
            elif value is not None:
                self._check(key, value, channels)
        return self.attention.with_options(**options, **self._reduction(channels, given))

    def _own(self, key: str, value: Any) -> dict[str, Any]:
        """Return an argument as an option of the module, unless the user gave that option."""
        is_plain = isinstance(value, bool | int | float | str | None)
        if key in _TIMM_OPTIONS and (key in self.by_hand or not is_plain):
            return {}
        if key in self.by_hand and self.by_hand[key] != value:
            raise RequestError(
                f"{self!r}: {key} is given twice: got {key}={value_text(value)} from timm. "
                "Set it in one place."
            )
        return {key: value}

    def _reduction(self, channels: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reduction that corresponds to timm's ratio or number of squeezed channels."""
        known = self.attention.signature.options
        if "reduction" not in known or "reduction" in {*self.by_hand, *given}:
            return {}
        squeezed, ratio = given.get("rd_channels"), given.get("rd_ratio")
        if squeezed and "rd_channels" not in known:
            reduction, text = channels / squeezed, f"rd_channels={squeezed}"
        elif ratio and "rd_ratio" not in known:
            reduction, text = 1 / ratio, f"rd_ratio={ratio}"
        else:
            return {}
        if reduction < 1:
            raise RequestError(f"{self!r}: the reduction must be 1 or more: got {text}.")
        return {"reduction": round(reduction)}

    def _check(self, key: str, value: Any, channels: int) -> None:
        """Raise RequestError unless an argument that is no option of the module may be ignored."""
        neutral = {**_NEUTRAL, **dict.fromkeys(_WIDTHS, channels)}
        if key in _TIMM_OPTIONS or (key in neutral and value == neutral[key]):
            return
        if key in neutral:
            raise RequestError(
                f"{self!r} must keep the shape of {channels}-channel maps: got {key}={value}. Use "
                "it where timm puts a layer behind a convolution."
            )
        known = [*self.attention.signature.options, *_TIMM_OPTIONS]
        raise RequestError(
            f"{self!r}: {self.attention.name} has no option {key!r}: got "
            f"{key}={value_text(value)}. Leave it out of attn_kwargs.{suggestion(key, known)}"
        )


def timm_layer(
    module: str | Spec | Attention | Callable[..., nn.Module], /, **options: Any
) -> TimmLayer:
    """Return a module as a layer for timm: for ``attn_layer``, ``se_layer``, ``create_attn``.

    ``rd_ratio`` and ``rd_channels`` become the module's ``reduction`` where it has one and none is
    given here (``1 / rd_ratio`` rounded to an integer), ``feat_size`` its ``feature_size``;
    ``device`` and ``dtype`` are applied. Activations and norms that timm passes to its own layers
    are ignored: the module keeps its own. Note that most timm models re-initialize the weights of
    all their convolutions when they are built, including those within attention layers.

    Args:
        module: a registered name or spec, or a class or function ``channels -> nn.Module``.
        options: options of the module; they take precedence over those that timm passes.

    Raises:
        UnknownNameError: no module has this name.
        RequestError: the module does not accept these options.
    """
    spec = parse_spec(module, "module") if isinstance(module, str) else module
    spec = spec.spec if isinstance(spec, Attention) else spec
    written = spec.options if isinstance(spec, Spec) else {}
    layer = TimmLayer(as_attention(module, options), {**written, **options})
    layer.made_by = partial(timm_layer, module, **options)
    return layer


class _Refused(nn.Module):
    """A placeholder for a module that cannot be built at timm's trial call; it never runs."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def forward(self, x: Tensor) -> Tensor:
        raise RequestError(self.reason)
