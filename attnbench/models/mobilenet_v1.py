"""MobileNetV1.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", arXiv:1704.04861, table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

# output channels at width 1.0 and strides of the 13 separable blocks, layers 2 to 14
CHANNELS = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1)


class DepthwiseSeparable(nn.Module):
    """Depthwise 3x3 then pointwise 1x1 convolution, each with batch norm and ReLU6.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = Conv2dNormActivation(
            in_channels, in_channels, stride=stride, groups=in_channels, activation_layer=nn.ReLU6
        )
        self.pointwise = Conv2dNormActivation(
            in_channels, out_channels, kernel_size=1, activation_layer=nn.ReLU6
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class MobileNetV1(nn.Module):
    """MobileNetV1 of any width; ``features[L - 1]`` is layer L. (B, 3, H, W) -> (B, num_classes).

    Channel counts are rounded to multiples of 8 as in torchvision's MobileNetV2; at widths 0.25,
    0.5, 0.75 and 1.0 they equal the paper's ``alpha * C`` exactly. It has 4,231,976 parameters at
    width 1.0.

    Args:
        width: the paper's alpha, the multiplier of all channel counts.
        num_classes: number of outputs of the classifier.
        dropout: dropout probability before the classifier.

    Raises:
        ValueError: width is not positive.
    """

    def __init__(
        self, *, width: float = 1.0, num_classes: int = 1000, dropout: float = 0.001
    ) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width must be positive: got {width}")
        channels = round_channels(32, width)
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, channels, stride=2, activation_layer=nn.ReLU6)
        ]
        for nominal, stride in zip(CHANNELS, STRIDES, strict=True):
            out_channels = round_channels(nominal, width)
            layers.append(DepthwiseSeparable(channels, out_channels, stride))
            channels = out_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        self._initialize()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        out: Tensor = self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))
        return out

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)


def round_channels(nominal: int, width: float, divisor: int = 8) -> int:
    """Return ``nominal * width`` rounded to a multiple of ``divisor``, at most 10% below it."""
    wanted = nominal * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded
