import numpy as np
import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import RequestError
from attnbench.models.block_layers import Inserted
from attnbench.reports.figures.feature_maps import attention_maps


class Scale(nn.Module):
    """Multiplies by a constant that broadcasts to (1, C, H, W)."""

    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.as_tensor(factor))

    def forward(self, x):
        return x * self.factor


class InPlace(nn.Module):
    def forward(self, x):
        return x.mul_(0.5)


class Fails(nn.Module):
    def forward(self, x):
        raise ValueError("no such\nkernel")


class Resizes(nn.Module):
    def forward(self, x):
        return x[..., :1]


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.aside = Inserted(nn.Identity(), nn.Identity())

    def forward(self, x):
        return x


def network(attention):
    return nn.Sequential(nn.Identity(), Inserted(nn.Identity(), attention))


@pytest.fixture
def image():
    return torch.randn((1, 3, 4, 6), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def mobilenet():
    """Norms with the statistics of their inputs: else its late features are all alike."""
    torch.manual_seed(0)
    model = attnbench.create_backbone("mobilenet_v2", width=0.35).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(4, 3, 64, 64))
    return model


def hooks(model):
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.modules())


def test_identity(image):
    (site,) = attention_maps(network(nn.Identity()), image)
    assert (site.path, site.shape) == ("1", "3×4×6")
    np.testing.assert_array_equal(site.x, image[0].double().numpy())
    np.testing.assert_array_equal(site.before, image[0].double().abs().mean(0).numpy())
    np.testing.assert_array_equal(site.change, np.zeros((4, 6)))
    np.testing.assert_allclose(site.gain, 1)


def test_gates_and_masks(image):
    (half,) = attention_maps(network(Scale(0.5)), image)
    np.testing.assert_allclose(half.change, 0.5)
    np.testing.assert_allclose(half.channel_gain, 0.5)
    mask = torch.linspace(0, 2, 24).view(1, 1, 4, 6)
    (spatial,) = attention_maps(network(Scale(mask)), image[:, :1])
    np.testing.assert_allclose(spatial.gain, mask[0, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(spatial.change, (mask[0, 0] - 1).abs(), rtol=1e-6, atol=1e-6)


def test_a_module_that_writes_into_its_input(image):
    (site,) = attention_maps(network(InPlace()), image.clone())
    np.testing.assert_allclose(site.change, 0.5)


def test_what_follows_in_place_does_not_reach_the_maps(image):
    model = nn.Sequential(network(nn.Identity()), nn.ReLU(inplace=True))
    before = image.clone()
    (site,) = attention_maps(model, image)
    np.testing.assert_array_equal(site.y, before[0].double().numpy())


def test_the_order_is_that_of_the_pass(image):
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.late = network(Scale(0.5))
            self.early = network(nn.Identity())

        def forward(self, x):
            return self.late(self.early(x))

    assert [site.path for site in attention_maps(Backwards(), image)] == ["early.1", "late.1"]


def test_the_model_itself_is_the_site(image):
    (site,) = attention_maps(network(Scale(0.5))[1], image)
    assert site.path == ""


@pytest.mark.parametrize("module", ["ulsam,groups=4", "se"])
def test_a_network(mobilenet, module):
    model = attnbench.insert(mobilenet, "after:14,17", module, input_size=(1, 3, 64, 64))
    image = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    sites = attention_maps(model, image)
    assert [(site.path, site.shape) for site in sites] == [
        ("features.13", "32×4×4"),
        ("features.16", "56×2×2"),
    ]
    attention = model.get_submodule("features.13").attention.double().eval()
    given = torch.from_numpy(sites[0].x)[None]
    expected = attention(given)[0].detach().numpy()
    np.testing.assert_allclose(sites[0].y, expected, rtol=1e-4, atol=1e-6)
    flat = np.ptp(sites[0].gain) < 1e-5 * sites[0].gain.max()
    assert flat == (module == "se")


def test_ulsam_groups_show_their_maps(mobilenet):
    model = attnbench.insert(mobilenet, "after:14", "ulsam,groups=4", input_size=(1, 3, 64, 64))
    image = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    (site,) = attention_maps(model, image)
    ulsam = model.get_submodule("features.13").attention.double().eval()
    expected = ulsam.attention(torch.from_numpy(site.x)[None])[0].detach().numpy()
    np.testing.assert_allclose(site.group_maps(4), expected, rtol=1e-4)


def test_the_model_is_left_as_it_was(mobilenet):
    model = attnbench.insert(mobilenet, "after:14", "se", input_size=(1, 3, 64, 64))
    model.features[2].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [one.training for one in model.modules()]
    random = torch.get_rng_state()
    attention_maps(model, torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0)))
    assert [one.training for one in model.modules()] == modes
    assert hooks(model) == 0
    assert all(one.grad is None for one in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert torch.equal(torch.get_rng_state(), random)


def test_a_failure_leaves_no_hooks(image):
    model = network(nn.Sequential(nn.Dropout(), Fails())).train()
    with pytest.raises(
        RequestError, match=r"Sequential failed .*\(1, 3, 4, 6\): .* no such kernel"
    ):
        attention_maps(model, image)
    assert hooks(model) == 0
    assert all(one.training for one in model.modules())


@pytest.mark.parametrize(
    ("attention", "says"),
    [
        (Resizes(), r"1: .* \(3, 4, 6\) and \(3, 4, 1\)"),
        (Pair(), r"1: .* got tuple, expected \(1, C, h, w\)"),
        (nn.Flatten(), r"got \(1, 72\)"),
    ],
)
def test_what_is_no_map(image, attention, says):
    model = network(attention)
    with pytest.raises(RequestError, match=says):
        attention_maps(model, image)
    assert hooks(model) == 0


def test_nothing_to_show(image):
    with pytest.raises(RequestError, match=r"Sequential .*attnbench\.insert"):
        attention_maps(nn.Sequential(nn.Identity()), image)
    with pytest.raises(RequestError, match="aside"):
        attention_maps(Unused(), image)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.zeros(3, 4, 4), r"got \(3, 4, 4\)"),
        (torch.zeros(2, 3, 4, 4), r"got \(2, 3, 4, 4\)"),
        (torch.zeros((1, 3, 4, 4), dtype=torch.uint8), "torch.uint8"),
        ([1.0], "got list"),
    ],
)
def test_what_is_no_image(image, says):
    with pytest.raises(RequestError, match=says):
        attention_maps(network(nn.Identity()), image)


def test_the_image_takes_the_dtype_of_the_model(image):
    model = network(nn.Conv2d(3, 3, 1)).to(torch.bfloat16)
    (site,) = attention_maps(model, image)
    np.testing.assert_array_equal(site.x, image[0].bfloat16().double().numpy())
    assert np.isfinite(site.change).all()


def test_one_position(image):
    (site,) = attention_maps(network(Scale(0.5)), image[:, :1, :1, :1])
    assert site.shape == "1×1×1"
    assert site.gain.item() == pytest.approx(0.5)
