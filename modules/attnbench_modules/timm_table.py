"""What is known of each of timm's attention layers. Imports neither torch nor timm.

Seen with timm 1.0.31. ``defects`` are checks of ``attnbench check`` that a layer is known to fail;
``tests/modules/test_timm_report.py`` holds them against what the checks find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnbench.cards import Card, Constraint
from attnbench.conformance.checks import CHECKS
from attnbench_modules import papers
from attnbench_modules import timm_formulas as costs
from attnbench_modules._shared import whole


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer."""

    card: Card
    left_out: tuple[str, ...] = ()
    """Options of the class that have no effect, or that change the shape of the map."""
    types: Mapping[str, Any] = field(default_factory=dict)
    """Types of options where timm's annotation says less than the layer takes."""


DESCRIPTIONS: Mapping[str, str] = {
    "rd_ratio": "squeezed channels over channels",
    "rd_channels": "squeezed channels; in place of rd_ratio",
    "rd_divisor": "squeezed channels are rounded to a multiple of it",
    "se_factor": "times rd_ratio, to come near SE's parameters",
    "add_maxpool": "pool by mean and maximum (a timm experiment)",
    "bias": "biases in the convolutions",
    "mlp_bias": "biases in the MLP",
    "gate_layer": "the gate's activation, by timm's name: sigmoid, hard_sigmoid",
    "kernel_size": "k, odd",
    "spatial_kernel_size": "k of the spatial gate's convolution, odd",
    "has_skip": "add the input to the gated map",
    "num_heads": "heads",
    "dim_head": "channels of a query and of a key, for each head",
    "qk_ratio": "channels of all queries over channels, where dim_head is none",
    "qkv_bias": "biases in the projections",
    "scale_pos_embed": "scale the position logits as well",
    "groups": "groups of the convolutions",
    "dilation": "of the convolutions, each on top of its branch's own",
    "gamma": "of the kernel size: k = odd(|log2 C + beta| / gamma), 3 at least",
    "beta": "of the kernel size",
    "use_mlp": "a hidden layer instead of one convolution (a timm experiment)",
}

_CHANNELS = whole("channels")


def _odd(name: str, default: int | None) -> Constraint:
    def holds(channels: int, **options: Any) -> bool:
        value = options.get(name, default)
        return value is None or value % 2 == 1

    return Constraint(f"{name} must be odd, or the map would change its size", holds)


def _multiple_of(name: str, default: int) -> Constraint:
    return Constraint(
        f"channels must be a multiple of {name}",
        lambda channels, **options: channels % options.get(name, default) == 0,
    )


def _blocks(default: int) -> Constraint:
    def holds(
        channels: int,
        feature_size: tuple[int, int] | None = None,
        block_size: int = default,
        **_options: Any,
    ) -> bool:
        return feature_size is None or all(side % block_size == 0 for side in feature_size)

    return Constraint("height and width must be multiples of block_size", holds)


_NEEDS_SIZE = Constraint(
    "it is built for one size of map: the feature size must be given",
    lambda channels, feature_size=None, **_: feature_size is not None,
)
_NO_KERNEL = "The class has a kernel_size, which it ignores: k follows from the channels."
_INPLACE = "At the start it scales x by about one half, so it disturbs pretrained weights."
_EXPERIMENT = "A timm experiment: no paper describes it."


def _card(title: str, family: str, **fields: Any) -> Card:
    constraints = (_CHANNELS, *fields.pop("constraints", ()))
    return Card(
        title=title,
        family=family,
        constraints=constraints,
        license="Apache-2.0 (timm, huggingface/pytorch-image-models): timm's own code, not ours",
        **fields,
    )


_CHANNEL_LAYERS = {
    "se": Layer(
        card=_card(
            "Squeeze-and-excitation (timm's SEModule)",
            "channel",
            paper=papers.SE,
            params=costs.se_params,
            macs=costs.se_macs,
            params_text="2Ch + h + C; h = C/16, to the next multiple of 8",
            macs_text="2Ch",
            formula="y = x * sigmoid(W2 relu(W1 mean(x)))",
            traps=(
                "h is a multiple of 8, so narrow maps are squeezed less than by 16.",
                "timm's MobileNetV3 and EfficientNet have another class, SqueezeExcite.",
                _INPLACE,
            ),
        ),
    ),
    "ese": Layer(
        card=_card(
            "Effective squeeze-and-excitation (timm's EffectiveSEModule)",
            "channel",
            paper=papers.ESE,
            params=costs.ese_params,
            macs=costs.ese_macs,
            params_text="C^2 + C",
            macs_text="C^2",
            formula="y = x * hard_sigmoid(W mean(x))",
            traps=(
                "No squeeze: parameters grow with the square of the channels.",
                "The class takes any keyword and ignores those it does not know; here they are "
                "refused.",
            ),
        ),
    ),
    "eca": Layer(
        card=_card(
            "Efficient channel attention (timm's EcaModule)",
            "channel",
            paper=papers.ECA,
            params=costs.eca_params,
            macs=costs.eca_macs,
            params_text="k = odd(|log2 C + 1| / 2), 3 at least",
            macs_text="kC",
            formula="y = x * sigmoid(conv1d_k(mean(x)))",
            traps=(_NO_KERNEL, "rd_ratio, rd_channels and rd_divisor matter with use_mlp alone."),
        ),
        left_out=("kernel_size",),
    ),
    "ecam": Layer(
        card=_card(
            "ECA with a hidden layer (timm's EcaModule, use_mlp)",
            "channel",
            params=costs.ecam_params,
            macs=costs.ecam_macs,
            params_text="(2 + k)h + 1; h = C/8, to a multiple of 8",
            macs_text="(1 + k)hC",
            traps=(_EXPERIMENT, _NO_KERNEL),
        ),
        left_out=("kernel_size",),
    ),
    "ceca": Layer(
        card=_card(
            "Circular ECA (timm's CecaModule)",
            "channel",
            params=costs.eca_params,
            macs=costs.eca_macs,
            params_text="k = odd(|log2 C + 1| / 2), 3 at least",
            macs_text="kC",
            formula="y = x * sigmoid(conv1d_k(mean(x))), the channels in a ring",
            traps=(_EXPERIMENT, _NO_KERNEL),
        ),
        left_out=("kernel_size",),
    ),
    "ge": Layer(
        card=_card(
            "Gather-excite (timm's GatherExcite)",
            "channel",
            paper=papers.GATHER_EXCITE,
            options={
                "extra_params": "gather by depthwise convolutions (cannot be built either)",
                "extent": "side of the neighbourhood that is gathered, even; 0 is the whole map",
                "use_mlp": "excite by two layers; false leaves none, and can be built",
            },
            defects=dict.fromkeys(
                CHECKS,
                "the constructor passes *dd where **dd is meant: the words 'device' and 'dtype' "
                "become positional arguments; only use_mlp=false with extra_params=false is built",
            ),
            traps=("It cannot be built as timm ships it; use_mlp=false has no parameters.",),
        ),
    ),
    "gc": Layer(
        card=_card(
            "Global context, scaling (timm's GlobalContext)",
            "channel",
            paper=papers.GCNET,
            params=costs.gc_params,
            macs=costs.gc_macs,
            params_text="2C + 1 + 2Ch + 3h, h = C/8",
            macs_text="2CN + 2Ch",
            formula="y = x * sigmoid(W2 relu(LN(W1 c))), c = sum over positions of x softmax(w x)",
            dead={"conv_attn.bias": "before a softmax, which takes every shift away"},
            options={
                "use_attn": "weigh the positions; without it their mean is taken",
                "fuse_add": "add the context",
                "fuse_scale": "scale by the context",
            },
            traps=("The paper adds the context (gca); this one scales by it.",),
        ),
        left_out=("init_last_zero",),
    ),
    "gca": Layer(
        card=_card(
            "Global context, adding (timm's GlobalContext, fuse_add)",
            "channel",
            paper=papers.GCNET,
            params=costs.gca_params,
            macs=costs.gca_macs,
            params_text="2C + 1 + 2Ch + 3h, h = C/8",
            macs_text="2CN + 2Ch",
            formula="y = x + W2 relu(LN(W1 c)), c = sum over positions of x softmax(w x)",
            dead={"conv_attn.bias": "before a softmax, which takes every shift away"},
            options={
                "use_attn": "weigh the positions; without it their mean is taken",
            },
        ),
        left_out=("init_last_zero",),
    ),
}

_POSITION_LAYERS = {
    "cbam": Layer(
        card=_card(
            "CBAM (timm's CbamModule)",
            "mixed",
            paper=papers.CBAM,
            params=costs.cbam_params,
            macs=costs.cbam_macs,
            params_text="2Ch + 2k^2 + 2, h = C/16",
            macs_text="4Ch + 2k^2 N",
            constraints=(_odd("spatial_kernel_size", 7),),
            traps=(
                "timm's own header warns that results with it have been mixed.",
                "No biases in the MLP, unlike the original code: mlp_bias=true.",
                _INPLACE,
            ),
        ),
    ),
    "lcbam": Layer(
        card=_card(
            "Light CBAM (timm's LightCbamModule)",
            "mixed",
            params=costs.lcbam_params,
            macs=costs.lcbam_macs,
            params_text="2Ch + k^2 + 2, h = C/16",
            macs_text="2Ch + k^2 N",
            constraints=(_odd("spatial_kernel_size", 7),),
            traps=(_EXPERIMENT, "gate_layer has no effect on it: both gates are sigmoids."),
        ),
        left_out=("gate_layer",),
    ),
    "coord": Layer(
        card=_card(
            "Coordinate attention (timm's CoordAttn)",
            "mixed",
            paper=papers.COORDINATE,
            params=costs.coord_params,
            macs=costs.coord_macs,
            params_text="3Ch + 2h; h = C/24, to a multiple of 8",
            macs_text="2Ch(H + W)",
            traps=("The original has biases and r = 32: other sizes than here.",),
        ),
    ),
    "scoord": Layer(
        card=_card(
            "Simple coordinate attention (timm's SimpleCoordAttn)",
            "mixed",
            params=costs.scoord_params,
            macs=costs.scoord_macs,
            params_text="3Ch + h + 2C; h = C/6, to a multiple of 8",
            macs_text="2Ch(H + W)",
            traps=(_EXPERIMENT,),
        ),
    ),
    "ela": Layer(
        card=_card(
            "Efficient local attention (timm's EfficientLocalAttn)",
            "mixed",
            paper=papers.ELA,
            params=costs.ela_params,
            macs=costs.ela_macs,
            params_text="(2k + 4)C",
            macs_text="kC(H + W)",
            constraints=(_odd("kernel_size", 7),),
            traps=("timm's header gives the paper's number with the title of another paper.",),
        ),
    ),
    "strip": Layer(
        card=_card(
            "Strip attention (timm's StripAttn)",
            "mixed",
            params=costs.strip_params,
            macs=costs.strip_macs,
            params_text="2kC",
            macs_text="kC(H + W)",
            constraints=(_odd("kernel_size", 3),),
            options={"use_conv": "depthwise convolutions along both axes; without, no parameters"},
            traps=(_EXPERIMENT, "Not the strip pooling of SPNet."),
        ),
    ),
}

_PRODUCT = "the output is a matrix product, reshaped, in the default layout"
_HEADS_4, _HEADS_8 = _multiple_of("num_heads", 4), _multiple_of("num_heads", 8)

_CONVOLUTIONS = {
    "sk": Layer(
        card=_card(
            "Selective kernel (timm's SelectiveKernel)",
            "channel",
            paper=papers.SELECTIVE_KERNEL,
            constraints=(
                Constraint(
                    "channels must be even: each of the two branches takes one half",
                    lambda channels, split_input=True, **_: channels % 2 == 0 or not split_input,
                ),
                Constraint(
                    "the channels of a branch must be a multiple of groups",
                    lambda channels, groups=1, split_input=True, **_: (
                        (channels // 2 if split_input else channels) % groups == 0
                        and channels % groups == 0
                    ),
                ),
                _odd("kernel_size", None),
            ),
            defects={
                "batch_one": "a batch norm on the pooled vector, which has one value a channel "
                "for one image",
                "memory_layout": "the branches are stacked to five dimensions, which have no "
                "channels_last",
            },
            options={
                "kernel_size": "of both branches; none is 3 and 5",
                "keep_3x3": "3x3 kernels, dilated, in place of larger ones",
                "split_input": "half of the channels to each branch; the original gives it all",
            },
            traps=(
                "A convolution, not a gate: it takes the place of one, and mixes channels.",
                "The input is split between the branches, unlike the original.",
            ),
        ),
    ),
    "splat": Layer(
        card=_card(
            "Split attention (timm's SplitAttn)",
            "channel",
            paper=papers.RESNEST,
            constraints=(
                _odd("kernel_size", 3),
                Constraint(
                    "channels must be a multiple of groups * radix",
                    lambda channels, groups=1, radix=2, **_: channels % (groups * radix) == 0,
                ),
            ),
            defects={
                "memory_layout": "the splits are reshaped to five dimensions, and the sum is made "
                "contiguous",
            },
            options={
                "radix": "splits that the attention weighs",
                "bias": "bias in the convolution",
            },
            traps=(
                "A convolution, not a gate: it takes the place of one, and mixes channels.",
                "Without norms, unless it is given them from Python.",
            ),
        ),
        left_out=("padding", "dilation"),
    ),
}

_SELF_ATTENTION = {
    "lambda": Layer(
        card=_card(
            "Lambda layer (timm's LambdaLayer)",
            "non-local",
            paper=papers.LAMBDA,
            constraints=(
                _HEADS_4,
                _odd("r", 9),
                Constraint(
                    "without r it is built for one size of map: the feature size must be given",
                    lambda channels, feature_size=None, r=9, **_: (
                        r is not None or feature_size is not None
                    ),
                ),
            ),
            defects={
                "memory_layout": _PRODUCT,
                "executorch": "ExecuTorch 1.5 writes a program that fails when it is run",
                "int8": "ExecuTorch 1.5 leaves weights quantised by channel that it cannot lower",
            },
            options={"r": "side of the local window; none is relative positions over the map"},
            traps=(
                "No residual: the input comes through only as far as the values carry it.",
                "timm marks r=none, relative positions, as not fully verified.",
                "On maps smaller than its window (9) its gradient in bf16 can be NaN on a "
                "processor: oneDNN's 3-D convolution, seen with torch 2.14.",
            ),
        ),
        types={"r": int | None, "dim_head": int | None},
    ),
    "bottleneck": Layer(
        card=_card(
            "Bottleneck self-attention (timm's BottleneckAttn)",
            "non-local",
            paper=papers.BOTTLENECK,
            constraints=(_HEADS_4, _NEEDS_SIZE),
            defects={"memory_layout": _PRODUCT},
            traps=(
                "It works on maps of the size that it was built for, and on no other.",
                "No residual: it takes the place of a convolution.",
            ),
        ),
    ),
    "halo": Layer(
        card=_card(
            "Halo self-attention (timm's HaloAttn)",
            "non-local",
            paper=papers.HALO,
            constraints=(_HEADS_8, _blocks(8)),
            defects={
                "memory_layout": "the blocks are put together by permute and contiguous",
                "int8": "ExecuTorch 1.5 cannot load what it wrote of the quantised layer",
            },
            options={
                "block_size": "side of a block of queries",
                "halo_size": "positions around a block that its queries see",
            },
            traps=(
                "Multiples of 8: of the maps of a 224-pixel image only 112x112 and 56x56 are.",
                "Positions in the padding around the map get attention as well.",
                "No residual: it takes the place of a convolution.",
            ),
        ),
        left_out=("avg_down",),
    ),
    "nl": Layer(
        card=_card(
            "Non-local block (timm's NonLocalAttn)",
            "non-local",
            paper=papers.NON_LOCAL,
            params=costs.nl_params,
            macs=costs.nl_macs,
            params_text="4Ch + 3h + 3C; h = C/8, to a multiple of 8",
            macs_text="4ChN + 2hN^2",
            options={"use_scale": "divide the logits by sqrt(C)"},
            dead={
                "p.bias": "before a softmax, which takes every shift away",
                "g.bias": "before a batch norm, which takes every shift away",
                "z.bias": "before a batch norm, which takes every shift away",
            },
            defects={
                "memory_layout": "the last convolution sees a transposed product, so that a "
                "contiguous map comes out as channels_last",
            },
            traps=(
                "The scale is the square root of all channels, not of the projected ones.",
                "It starts as the identity: the norm's weight is 0.",
            ),
        ),
        types={"rd_channels": int | None},
    ),
    "bat": Layer(
        card=_card(
            "Bilinear attentional transform (timm's BatNonLocalAttn)",
            "non-local",
            paper=papers.BILINEAR,
            constraints=(
                _blocks(7),
                Constraint(
                    "the squeezed channels must be a multiple of groups",
                    lambda channels, groups=2, **options: (
                        costs.squeeze(0.25, limit=0.9)(channels, **options) % groups == 0
                    ),
                ),
            ),
            defects={
                "memory_layout": "the transformed map is a matrix product in the default layout",
                "extremes": "rows of sigmoids are divided by their sum, which is 0 where all of "
                "them are: NaN",
                "executorch": "adaptive_max_pool2d to a row and a column, which ExecuTorch lacks",
                "int8": "adaptive_max_pool2d to a row and a column, which ExecuTorch lacks",
            },
            options={
                "block_size": "positions along each axis that the transform works on",
                "groups": "transforms, each for its share of the channels",
                "drop_rate": "whole channels dropped in training",
            },
            traps=(
                "Multiples of 7: all maps of a 224-pixel image are, those of most others are not.",
            ),
        ),
    ),
}

LAYERS: Mapping[str, Layer] = _CHANNEL_LAYERS | _POSITION_LAYERS | _CONVOLUTIONS | _SELF_ATTENTION
"""By the name that ``timm.layers.get_attn`` knows them by, in its order."""
