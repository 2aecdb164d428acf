"""ULSAM: Ultra-Lightweight Subspace Attention Module for Compact Convolutional Neural Networks.

WACV 2020, https://arxiv.org/abs/2006.15102. Original code: https://github.com/Nandan91/ULSAM

The m = C channels are cut into g subspaces of neighbouring channels. Each gets one attention map
over its N = H*W positions:

    F = one of g subspaces of x                                   (B, G, H, W), G = C/g
    A = softmax_N(relu(BN(PW(maxpool3x3(relu(BN(DW(F))))))))      (B, 1, H, W), sums to 1
    y = F * A + F                                                 (B, G, H, W), its part of y
    DW is a 1x1 depthwise convolution, PW a 1x1 convolution from G channels to one.

The original holds g separate subspaces and loops over them. Here one grouped convolution computes
all g maps at once; the result is the same, and `load_released_state_dict` reads the original's
weights. The batch norms' momentum is an option: see the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.cards import Card, Constraint, Paper, PrintedCost, Traits
from attnbench_modules._folding import folded
from attnbench_modules._shared import BEFORE_NORM, PRINTED_SOURCE, check, whole
from attnbench_modules.fused_ulsam import FusedULSAM


class ULSAM(nn.Module):
    """One attention map for each of ``groups`` subspaces: (B, C, H, W) -> (B, C, H, W)."""

    card: ClassVar[Card]

    def __init__(self, channels: int, *, groups: int = 4, momentum: float = 0.1) -> None:
        super().__init__()
        check(type(self), channels, groups=groups, momentum=momentum)
        self.groups = groups
        self.depthwise = nn.Conv2d(channels, channels, 1, groups=channels)
        self.depthwise_norm = nn.BatchNorm2d(channels, momentum=momentum)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.pointwise = nn.Conv2d(channels, groups, 1, groups=groups)
        self.pointwise_norm = nn.BatchNorm2d(groups, momentum=momentum)

    def attention(self, x: Tensor) -> Tensor:
        """Return the maps, each summing to 1: (B, C, H, W) -> (B, g, H, W)."""
        features = self.pool(self.relu(self.depthwise_norm(self.depthwise(x))))
        scores: Tensor = self.relu(self.pointwise_norm(self.pointwise(features)))
        return scores.flatten(2).softmax(-1).view(scores.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh each subspace by its own map and add it: (B, C, H, W) -> (B, C, H, W)."""
        # (B, g, C/g, H, W): cutting one dimension is a view in every memory layout.
        subspaces: Tensor = torch.unflatten(x, 1, (self.groups, -1))
        weighted = subspaces * self.attention(x).unsqueeze(2)
        return (weighted + subspaces).flatten(1, 2)

    def fuse(self) -> FusedULSAM:
        """Return the inference form: the same output, 3C + g parameters, far fewer passes."""
        return FusedULSAM(
            folded(self.depthwise, self.depthwise_norm),
            folded(self.pointwise, self.pointwise_norm),
        ).eval()


_RELEASED_NAMES = {
    "depthwise": "conv_dws",
    "depthwise_norm": "bn_dws",
    "pointwise": "conv_point",
    "pointwise_norm": "bn_point",
}


def load_released_state_dict(module: ULSAM, state_dict: Mapping[str, Tensor]) -> None:
    """Load weights saved from the authors' class, ``subspaces.0.conv_dws.weight`` and so on.

    Raises:
        ValueError: keys are missing or unknown, or a tensor has the wrong shape.
    """
    wanted = {own: _released_keys(own, module.groups) for own in module.state_dict()}
    _check_keys(module, {key for keys in wanted.values() for key in keys}, set(state_dict))
    merged = {}
    for own, tensor in module.state_dict().items():
        parts = [state_dict[key] for key in wanted[own]]
        # Every tensor is cut along its first dimension, the scalar step counters not at all.
        expected = (tensor.shape[0] // module.groups, *tensor.shape[1:]) if tensor.ndim else ()
        for key, part in zip(wanted[own], parts, strict=True):
            _check_shape(key, tuple(part.shape), expected)
        merged[own] = torch.cat(parts) if tensor.ndim else torch.stack(parts).amax()
    module.load_state_dict(merged)


def _released_keys(own: str, groups: int) -> list[str]:
    layer, _, tensor = own.partition(".")
    return [f"subspaces.{i}.{_RELEASED_NAMES[layer]}.{tensor}" for i in range(groups)]


def _check_keys(module: ULSAM, wanted: set[str], given: set[str]) -> None:
    missing, unknown = sorted(wanted - given), sorted(given - wanted)
    if missing or unknown:
        lists = (("missing", missing), ("unknown", unknown))
        found = "; ".join(f"{what}: {_shorten(keys)}" for what, keys in lists if keys)
        raise ValueError(
            f"state dict does not fit ULSAM(channels={module.depthwise.out_channels}, "
            f"groups={module.groups}): {found}. It must have the released class's keys, "
            "'subspaces.I.conv_dws.weight' and so on, for as many subspaces as groups."
        )


def _shorten(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more


def _check_shape(key: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ValueError(
            f"{key} has shape {shape}, expected {expected}: "
            "build ULSAM with the channels and groups that the weights were saved with"
        )


def params(channels: int, *, groups: int = 4, **_options: Any) -> int:
    """Return 5C + 3g: weights 2C, biases C + g, batch norms 2C + 2g."""
    return 5 * channels + 3 * groups


def macs(channels: int, height: int, width: int, **_options: Any) -> int:
    """Return 2CN: one multiply-add for each channel and position in both convolutions."""
    return 2 * channels * height * width


def _printed_params(channels: int, **_options: Any) -> int:
    return 2 * channels


ULSAM.card = Card(
    title="Ultra-lightweight subspace attention (ULSAM)",
    family="spatial",
    paper=Paper(
        key="saini2020ulsam",
        title=(
            "ULSAM: Ultra-Lightweight Subspace Attention Module for Compact "
            "Convolutional Neural Networks"
        ),
        authors=(
            "Saini, Rajat",
            "Jha, Nandan Kumar",
            "Das, Bedanta",
            "Mittal, Sparsh",
            "Mohan, C. Krishna",
        ),
        venue="IEEE Winter Conference on Applications of Computer Vision (WACV)",
        short="Saini, WACV'20",
        year=2020,
        url="https://arxiv.org/abs/2006.15102",
    ),
    traits=Traits(subspace=True),
    options={
        "groups": "number of subspaces g, one attention map each",
        "momentum": "of both batch norms, in PyTorch's convention (the weight of the new batch)",
    },
    constraints=(
        whole("channels"),
        whole("groups"),
        Constraint(
            "channels must be a multiple of groups; choose groups that divide channels",
            lambda channels, groups=4, **_: channels % groups == 0,
        ),
        Constraint(
            "momentum must be a number above 0 and at most 1",
            lambda channels, momentum=0.1, **_: (
                isinstance(momentum, float | int) and 0 < momentum <= 1
            ),
            basic=True,
        ),
    ),
    official={"mobilenet_v1": "after:11", "mobilenet_v2": "after:17"},
    official_note=(
        "The printed ImageNet tables fit one module after a 512-channel 14x14 layer of MobileNetV1 "
        "and after a 160-channel 7x7 layer of MobileNetV2, but do not name the layers or say where "
        "in the block: 11 and 17 are our choice among those that fit. "
        "MobileNetV3 is not in the tables."
    ),
    params=params,
    macs=macs,
    params_text="5C + 3g",
    macs_text="2CN",
    formula_tex=r"""x = [F_1, \ldots, F_g], \quad y = [\hat{F}_1, \ldots, \hat{F}_g]
D_n = \mathrm{ReLU}(\mathrm{BN}(\mathrm{DW}(F_n)))
S_n = \mathrm{ReLU}(\mathrm{BN}(\mathrm{PW}(\mathrm{maxpool}_{3 \times 3}(D_n))))
A_n = \operatorname{softmax}_{HW}(S_n)
\hat{F}_n = A_n \odot F_n + F_n""",
    printed=PrintedCost(
        source=PRINTED_SOURCE,
        params_text="2m",
        macs_text="2m*h*w",
        params_tex="2m",
        macs_tex="2mhw",
        params=_printed_params,
        macs=macs,
        differences=(
            "The printed parameters are the convolution weights only; biases (C + g) and batch "
            "norms (2C + 2g) are left out.",
        ),
    ),
    deviations=(
        "All subspaces are computed by grouped convolutions instead of a loop; the outputs are the "
        "same, and load_released_state_dict() reads the released class's weights.",
        "Batch-norm momentum is 0.1. The released code has 0.9, almost certainly meant in the "
        "other convention, where it weighs the old statistics; momentum=0.9 brings it back.",
    ),
    timm="timm 1.0.31 has no ULSAM.",
    traps=(
        "Close to the identity: a map sums to 1 over all positions, so it changes x by about 1/N. "
        "Replacing a block by ULSAM is mostly deleting the block: read such rows next to identity.",
        "Of the depthwise weights little more than the sign matters in training: each is one "
        "channel's factor before a batch norm, which takes factors away.",
        "Copies of the released code from before October 2020 pool x instead of the depthwise "
        "output, which leaves the depthwise layer unused; the first version cut the batch instead "
        "of the channels. The published numbers were not made with the released file, as its "
        "author says.",
        "Importing the released file fails without CUDA, and changes torch's default tensor type "
        "for everything else in the process.",
    ),
    dead={"depthwise.bias": BEFORE_NORM, "pointwise.bias": BEFORE_NORM},
    license="none (Nandan91/ULSAM has no licence file)",
)
