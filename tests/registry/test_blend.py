"""``blend=true``: any module starts as the identity, and is otherwise asked for as ever."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attnbench
from attnbench import Card, Constraint, register
from attnbench.counting.trace import trace
from attnbench.errors import PluginError, RequestError
from attnbench.measure.cost import CostMeter
from attnbench.models.fuse import fuse, has_fused_form
from attnbench.registry.attention import find_attention
from attnbench.registry.blend import Blend
from attnbench.registry.plugins import catalog
from attnbench.runtimes.sample_inputs import randomize_weights
from attnbench.suites.plan import make_case

NAMES = catalog().modules.names()
# f(x) = x at their own start: the share of nothing has no gradient
IDENTITIES = {
    "identity",
    "non_local",
    "ccnet",
    "danet_channel",
    "danet_position",
    "gc",
    "gct",
}
every_module = pytest.mark.parametrize("name", NAMES)


def blended(name, alpha=None, channels=32):
    torch.manual_seed(0)
    module = attnbench.create_module(name, channels, feature_size=(7, 9), blend=True)
    if alpha is not None:
        randomize_weights(module, example=torch.randn(2, channels, 7, 9))
        nn.init.constant_(module.alpha, alpha)
    return module


class Doubling(nn.Module):
    def __init__(self, channels: int, *, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x):
        return 2 * x + self.offset


@pytest.fixture
def small():
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(3, 8, 3))
    return model


class TestForward:
    @every_module
    def test_starts_as_the_identity(self, name):
        for training in (True, False):
            module = blended(name).train(training)
            for layout in (torch.contiguous_format, torch.channels_last):
                x = torch.randn(2, 32, 7, 9).to(memory_format=layout)
                y = module(x)
                assert torch.equal(y, x), (training, layout)
                assert y.is_contiguous(memory_format=layout), (training, layout)

    @every_module
    def test_gives_a_share_of_what_the_module_gives(self, name):
        module = blended(name, alpha=0.3).eval()
        x = torch.randn(2, 32, 7, 9)
        torch.testing.assert_close(module(x), 0.7 * x + 0.3 * module.attention(x))

    @every_module
    def test_the_first_gradient_is_of_the_share_alone(self, name):
        module = blended(name)
        x = torch.randn(2, 32, 7, 9)
        y = module(x)
        weights = torch.randn_like(y)
        (y * weights).sum().backward()
        expected = (weights * (module.attention(x) - x)).sum()
        torch.testing.assert_close(module.alpha.grad, expected, rtol=1e-3, atol=1e-4)
        assert (module.alpha.grad == 0) == (name in IDENTITIES)
        assert not any(one.grad.any() for one in module.attention.parameters())

    def test_the_second_step_reaches_the_module(self):
        module = blended("se")
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        before = module.attention.excite.weight.clone()
        for _ in range(2):
            optimizer.zero_grad()
            (module(torch.randn(2, 32, 7, 9)) ** 2).mean().backward()
            optimizer.step()
        assert module.alpha != 0
        assert not torch.equal(module.attention.excite.weight, before)

    @pytest.mark.parametrize("value", [float("inf"), float("nan")])
    def test_what_is_not_finite_shows(self, value):
        module = Blend(Doubling(2, offset=value))
        assert module(torch.ones(1, 2, 3, 3)).isnan().all()

    def test_autocast_keeps_the_dtype_of_the_map(self):
        x = torch.randn(2, 32, 7, 9, dtype=torch.bfloat16)
        with torch.autocast("cpu", torch.bfloat16):
            assert blended("se")(x).dtype == torch.bfloat16

    def test_a_module_that_writes_to_its_input_is_refused(self, small):
        with pytest.raises(PluginError, match="ReLU changes its input in place"):
            Blend(nn.ReLU(inplace=True))(torch.randn(1, 2, 3, 3))
        with pytest.raises(PluginError, match="ReLU changes its input in place"):
            attnbench.insert(small, "after:conv", lambda channels: nn.ReLU(True), blend=True)

    def test_inference_mode_is_the_same(self):
        module, x = blended("cbam", alpha=0.3).eval(), torch.randn(2, 32, 7, 9)
        with torch.inference_mode():
            fast = module(x.clone())
        torch.testing.assert_close(fast, module(x))


class TestOption:
    @pytest.mark.parametrize(
        ("given", "canonical"),
        [
            ("se,blend=true", "se,blend=true"),
            ("se,blend=false", "se"),
            ("se,reduction=8,blend=true,bias=true", "se,blend=true,reduction=8"),
            ("ulsam,blend=true,groups=8", "ulsam,blend=true,groups=8"),
        ],
    )
    def test_canonical_spec(self, given, canonical):
        attention = find_attention(given)
        assert str(attention.spec) == canonical
        assert attention.blend == ("blend" in canonical)
        assert find_attention(canonical) == attention
        assert isinstance(attention.build(64, (7, 9)), Blend) == attention.blend

    @pytest.mark.parametrize("value", ["3", "yes", "none"])
    def test_is_true_or_false(self, value):
        with pytest.raises(RequestError, match="se: option blend should be a valid boolean"):
            find_attention(f"se,blend={value}")

    def test_near_miss_is_suggested(self):
        with pytest.raises(RequestError, match="Did you mean 'blend'"):
            find_attention("se,blended=true")

    def test_never_reaches_the_factory_or_the_card(self, fresh):
        seen = []

        @register("watched")
        class Watched(Doubling):
            card = Card(
                title="Watched",
                family="control",
                constraints=(Constraint("any", lambda channels, **given: not seen.append(given)),),
                params=lambda channels, **given: seen.append(given) or 7,
            )

            def __init__(self, channels: int, **given: float) -> None:
                seen.append(given)
                super().__init__(channels)

        attention = find_attention("watched,blend=true,extra=2", fresh)
        assert isinstance(attention.build(8, (4, 4)), Blend)
        assert attention.params(8) == 8
        assert seen == [{"feature_size": (4, 4), "extra": 2}, {"extra": 2}, {"extra": 2}]

    def test_a_module_with_an_option_of_that_name_keeps_it(self, fresh):
        @register("mixing")
        class Mixing(Doubling):
            def __init__(self, channels: int, *, blend: float = 0.5) -> None:
                super().__init__(channels)
                self.blend = blend

        attention = find_attention("mixing,blend=0.25", fresh)
        built = attention.build(8)
        assert (type(built), built.blend, attention.blend) == (Mixing, 0.25, False)
        assert str(find_attention("mixing,blend=0.5", fresh).spec) == "mixing"

    def test_of_a_file(self, write, fresh):
        attention = find_attention(f"{write('my.py')}:Mine,blend=true", fresh)
        assert isinstance(attention.build(4), Blend)

    def test_of_an_attention_that_is_asked_again(self, small):
        attention = find_attention("se,blend=true")
        placed = attnbench.insert(small, "after:conv", attention)
        without = attnbench.insert(small, "after:conv", attention, blend=False)
        assert isinstance(placed.conv.attention, Blend)
        assert not isinstance(without.conv.attention, Blend)


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    return randomize_weights(
        attnbench.create_backbone("mobilenet_v2"), example=torch.zeros(1, 3, 32, 32)
    ).eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(2, 3, 32, 32)


class TestPlaced:
    def insert(self, plain, placement="after:8,14"):
        return attnbench.insert(plain, placement, "se", input_size=(1, 3, 32, 32), blend=True)

    def test_after_a_block_changes_nothing_at_the_start(self, plain, image):
        assert torch.equal(self.insert(plain)(image), plain(image))

    def test_in_place_of_a_block_is_the_block_less_at_the_start(self, plain, image):
        shorter = attnbench.insert(plain, "replace:14", "identity", input_size=(1, 3, 32, 32))
        assert torch.equal(self.insert(plain, "replace:14")(image), shorter(image))

    def test_costs_one_parameter_a_site(self, plain):
        size = (1, 3, 32, 32)
        without = attnbench.insert(plain, "after:8,14", "se", input_size=size)
        ours, theirs = (attnbench.cost(one, size) for one in (self.insert(plain), without))
        assert (ours.params - theirs.params, ours.macs - theirs.macs) == (2, 0)

    def test_matches_dtype_and_layout(self, small):
        model = small.bfloat16().to(memory_format=torch.channels_last)
        placed = attnbench.insert(model, "after:conv", "se", blend=True)
        assert placed.conv.attention.alpha.dtype == torch.bfloat16
        assert placed.conv.attention.alpha.shape == ()

    def test_state_dict_fits_the_same_network(self, plain, image):
        model = self.insert(plain)
        nn.init.constant_(model.features[7].attention.alpha, 0.4)
        other = self.insert(attnbench.create_backbone("mobilenet_v2").eval())
        other.load_state_dict(model.state_dict())
        assert torch.equal(other(image), model(image))
        assert not torch.equal(other(image), plain(image))

    def test_fused_network_gives_the_same(self, plain, image):
        model = randomize_weights(self.insert(plain), example=image)
        for layer in (7, 13):
            nn.init.constant_(model.features[layer].attention.alpha, 0.3)
        fused = fuse(model)
        kept = fused.features[7].attention
        assert (type(kept), type(kept.attention).__name__) == (Blend, "FusedSE")
        torch.testing.assert_close(fused(image), model(image))


@every_module
def test_fused_form_is_within_the_blend(name):
    module = blended(name, alpha=0.3).eval()
    fused, x = fuse(module), torch.randn(2, 32, 7, 9)
    assert isinstance(fused, Blend)
    assert fused.alpha == module.alpha
    torch.testing.assert_close(fused(x), module(x), rtol=1e-4, atol=1e-5)
    assert has_fused_form(module) == has_fused_form(module.attention)


@every_module
def test_exports_with_any_batch_size(name):
    module = blended(name, alpha=0.3).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        module, (torch.randn(2, 32, 7, 9),), dynamic_shapes=({0: batch},), strict=False
    )
    x = torch.randn(5, 32, 7, 9)
    torch.testing.assert_close(program.module()(x), module(x))


class TestCost:
    @every_module
    def test_of_a_module_alone(self, name):
        shape = {"backbone": None, "placement": None, "channels": 64, "size": 14}
        plain, ours = (
            CostMeter(catalog()).measure(make_case(catalog(), module=module, **shape))["values"]
            for module in (name, f"{name},blend=true")
        )
        assert ours["params"] == ours["formula_params"] == plain["params"] + 1
        assert ours["macs"] == ours["formula_macs"] == plain["macs"]
        assert ours["paper_params"] == plain["paper_params"]
        # a difference, a product, a sum: eight maps read or written, and the share
        elements = 64 * 14 * 14
        assert ours["bytes"] - plain["bytes"] == 4 * (8 * elements + 1)

    @pytest.mark.parametrize("placement", ["after:5,9", "replace:4", "after-depthwise:5-8"])
    @pytest.mark.parametrize("fused", [False, True])
    def test_adding_up_equals_counting_the_whole(self, placement, fused):
        case = make_case(
            catalog(),
            backbone="mobilenet_v3_small",
            module="se,blend=true",
            placement=placement,
            size=32,
            counters=True,  # raises where the parts do not add up to the whole
            fused=fused,
        )
        measured = CostMeter(catalog()).measure(case)
        model = attnbench.insert(
            attnbench.create_backbone("mobilenet_v3_small"),
            placement,
            "se,blend=true",
            input_size=(1, 3, 32, 32),
        )
        model = fuse(model) if fused else model
        assert measured["values"]["params"] == sum(one.numel() for one in model.parameters())
        assert measured["values"]["bytes"] == trace(model, (1, 3, 32, 32)).totals.bytes
