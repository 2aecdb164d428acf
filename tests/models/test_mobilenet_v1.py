import pytest
import torch
from torch import nn

import attnbench
from attnbench.models.mobilenet_v1 import MobileNetV1, round_channels


def params(model):
    return sum(p.numel() for p in model.parameters())


# facts section 3.1: exact, batch norm and classifier bias included
@pytest.mark.parametrize(
    ("width", "expected"), [(1, 4_231_976), (0.75, 2_585_560), (0.5, 1_331_592)]
)
def test_params(width, expected):
    assert params(attnbench.create_backbone("mobilenet_v1", width=width)) == expected


@pytest.mark.parametrize(
    ("width", "macs"), [(1.0, 568_740_352), (0.75, 325_400_448), (0.5, 149_497_088)]
)
def test_macs_at_224(width, macs):
    # facts section 3.1 prints 568.740M, 325.400M and 149.497M
    with torch.device("meta"):
        model = MobileNetV1(width=width)
    assert attnbench.cost(model).macs == macs


def test_same_network_as_timms():
    import timm

    ours, theirs = MobileNetV1().eval(), timm.create_model("mobilenetv1_100").eval()
    shapes = [tuple(p.shape) for p in ours.parameters()]
    assert shapes == [tuple(p.shape) for p in theirs.parameters()]
    pairs = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(pairs))
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("width", [0.01, 0.1, 0.25, 0.33, 0.6, 1.3, 2])
def test_odd_widths_build_and_run(width):
    model = MobileNetV1(width=width, num_classes=7).eval()
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert all(conv.out_channels % 8 == 0 for conv in convs)
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 33, 47)).shape == (2, 7)


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75, 1.0])
def test_paper_widths_are_exact(width):
    for nominal in (32, 64, 128, 256, 512, 1024):
        assert round_channels(nominal, width) == nominal * width


def test_rounding_is_torchvisions():
    from torchvision.models._utils import _make_divisible

    for nominal in (16, 24, 32, 96, 320, 1280):
        for hundredths in range(5, 200, 7):
            width = hundredths / 100
            assert round_channels(nominal, width) == _make_divisible(nominal * width, 8)


def test_layers_are_numbered_from_the_stem():
    features = MobileNetV1().features
    assert len(features) == 14
    assert features[0][0].in_channels == 3
    assert [block.pointwise[0].out_channels for block in features[1:]][-1] == 1024


def test_starts_trainable():
    model = MobileNetV1(width=0.25, num_classes=4)
    loss = model(torch.randn(2, 3, 32, 32)).square().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
