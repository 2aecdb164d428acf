"""timm's attention layers as modules: all of them, built as timm builds them, with true cards."""

import ast
import inspect
import subprocess
import sys

import pytest
import torch
from attnbench_modules import papers
from attnbench_modules.timm_layers import TIMM
from attnbench_modules.timm_table import LAYERS
from timm.layers import create_attn, get_attn
from torch import nn

import attnbench
from attnbench.cards import FAMILIES, Paper
from attnbench.errors import MissingExtraError, PluginError, RequestError, UnknownNameError
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import catalog
from attnbench.registry.validation import card_problems

NAMES = list(LAYERS)
BUILT = [name for name in NAMES if name != "ge"]
SIZES = {"halo": (16, 8), "bat": (14, 7)}
SIZED = {"ge", "lambda", "bottleneck", "halo"}
every_layer = pytest.mark.parametrize("name", NAMES)
every_built = pytest.mark.parametrize("name", BUILT)

# More than the defaults, for formulas and constructors.
OPTIONS = {
    "se": [{"rd_ratio": 0.25}, {"rd_channels": 5}, {"bias": False}, {"add_maxpool": True}],
    "ese": [{"gate_layer": "sigmoid"}],
    "eca": [{"gamma": 1.0}, {"use_mlp": True}],
    "ecam": [{"rd_ratio": 0.5}],
    "gc": [{"use_attn": False}, {"fuse_add": True}],
    "gca": [{"rd_channels": 4}],
    "cbam": [{"mlp_bias": True, "spatial_kernel_size": 3}],
    "lcbam": [{"mlp_bias": True, "rd_ratio": 0.5}],
    "coord": [{"bias": True}, {"has_skip": True, "se_factor": 1.0}],
    "scoord": [{"bias": False, "rd_ratio": 0.5}],
    "ela": [{"kernel_size": 3, "bias": True}],
    "strip": [{"use_conv": False}, {"bias": True}],
    "sk": [{"split_input": False}, {"kernel_size": 5, "keep_3x3": False}],
    "splat": [{"radix": 4}, {"groups": 2}],
    "lambda": [{"r": None}, {"num_heads": 2, "dim_head": 8}],
    "bottleneck": [{"scale_pos_embed": True}],
    "halo": [{"block_size": 4, "halo_size": 2}],
    "nl": [{"use_scale": False, "rd_channels": 8}],
    "bat": [{"groups": 4, "drop_rate": 0.0}],
    "ge": [{"use_mlp": False}, {"use_mlp": False, "extent": 2, "add_maxpool": True}],
}
CASES = [(name, {}) for name in BUILT]
CASES += [(name, options) for name in NAMES for options in OPTIONS.get(name, [])]
every_case = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=[f"{name}-{options}" for name, options in CASES]
)


def size_of(name):
    return SIZES.get(name, (7, 12))


def known_to_timm():
    """The names that ``get_attn`` compares with, read from its source."""
    tree = ast.parse(inspect.getsource(get_attn))
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    return [
        one.comparators[0].value
        for one in compared
        if isinstance(one.left, ast.Name)
        and isinstance(one.ops[0], ast.Eq)
        and isinstance(one.comparators[0], ast.Constant)
    ]


class TestNames:
    def test_all_of_get_attn(self):
        """A newer timm's additions fail here: give them a line in the table."""
        assert sorted(NAMES) == sorted(known_to_timm())
        assert len(NAMES) == 21

    def test_listing_needs_neither_timm_nor_torch(self):
        code = (
            "import sys; from attnbench_modules.timm_layers import TIMM; TIMM.names();"
            "assert not {'timm', 'torch'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_registered_names_are_kept_apart(self):
        assert not [name for name in attnbench.list_modules() if "timm" in name]

    @pytest.mark.parametrize(
        ("asked", "near"), [("timm:ec", "eca"), ("timm:cbma", "cbam"), ("timm:hallo", "halo")]
    )
    def test_near_misses(self, asked, near):
        with pytest.raises(UnknownNameError, match=f"Did you mean .*'{near}'.*-b {asked}"):
            find_attention(asked)

    def test_without_timm(self, monkeypatch):
        from attnbench_modules import timm_layers

        timm_layers._factory.cache_clear()
        catalog().attentions.clear()
        monkeypatch.setitem(sys.modules, "timm.layers", None)
        with pytest.raises(MissingExtraError, match=r"timm:se needs timm.*'attnbench\[timm\]'"):
            find_attention("timm:se")

    def test_an_older_timm(self, monkeypatch):
        from attnbench_modules import timm_layers

        def knows_nothing(name):
            raise AssertionError(f"Invalid attn module ({name})")

        timm_layers._factory.cache_clear()
        catalog().attentions.clear()
        monkeypatch.setattr("timm.layers.get_attn", knows_nothing)
        with pytest.raises(PluginError, match=r"timm [\d.]+ has no attention layer 'ela'"):
            find_attention("timm:ela")


class TestSameAsTimm:
    @every_case
    def test_same_class_weights_and_output(self, name, options):
        height, width = size_of(name)
        extra = {"feat_size": (height, width)} if name in SIZED else {}
        torch.manual_seed(0)
        ours = attnbench.create_module(f"timm:{name}", 32, feature_size=(height, width), **options)
        torch.manual_seed(0)
        timms = create_attn(name, 32, **extra, **options)
        assert type(ours) is type(timms)
        for (key, one), (other, two) in zip(
            ours.state_dict().items(), timms.state_dict().items(), strict=True
        ):
            assert key == other
            torch.testing.assert_close(one, two, rtol=0, atol=0)
        x = torch.randn(2, 32, height, width)
        torch.testing.assert_close(ours.eval()(x), timms.eval()(x), rtol=0, atol=0)
        assert ours(x).shape == x.shape

    def test_ge_cannot_be_built(self):
        """The day that timm mends it, its defects and this test go."""
        with pytest.raises(RequestError, match=r"timm:ge cannot be built.*multiple values"):
            attnbench.create_module("timm:ge", 32)
        with pytest.raises(RequestError, match="cannot be built"):
            attnbench.create_module("timm:ge", 32, extra_params=True, extent=2, use_mlp=False)


class TestOptions:
    @every_layer
    def test_of_the_real_signature(self, name):
        found = find_attention(f"timm:{name}")
        target = get_attn(name)
        own = inspect.signature(getattr(target, "func", target)).parameters
        fixed = getattr(target, "keywords", {})
        assert found.signature.takes_feature_size == ("feat_size" in own)
        assert not found.signature.takes_any
        for key, parameter in found.signature.options.items():
            assert parameter.default == own[key].default
            assert key not in fixed
        assert found.signature.takes_feature_size == (name in SIZED)

    @every_layer
    def test_nothing_is_left_out_but_on_purpose(self, name):
        target = get_attn(name)
        own = inspect.signature(getattr(target, "func", target)).parameters
        shown = set(find_attention(f"timm:{name}").signature.options)
        unwritable = {"act_layer", "norm_layer", "aa_layer", "drop_layer", "device", "dtype"}
        shape = {"stride", "dim_out", "out_channels", "feat_size"}
        hidden = {*LAYERS[name].left_out, *getattr(target, "keywords", {})}
        rest = {key for key, one in own.items() if one.kind is not one.VAR_KEYWORD}
        assert rest - shown - unwritable - shape - hidden == {next(iter(own))}

    @every_layer
    def test_each_is_described(self, name):
        found = find_attention(f"timm:{name}")
        assert set(found.card.options) == set(found.signature.options)

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            ("timm:se,act_layer=relu", "no option 'act_layer'"),
            ("timm:eca,kernel_size=5", "no option 'kernel_size'"),
            ("timm:ecam,use_mlp=false", "no option 'use_mlp'"),
            ("timm:nl,surplus=1", "no option 'surplus'"),
            ("timm:se,rd_channels=few", "rd_channels should be a valid integer"),
            ("timm:lambda,stride=2", "no option 'stride'"),
        ],
    )
    def test_are_checked(self, spec, reason):
        with pytest.raises(RequestError, match=reason):
            find_attention(spec)

    def test_a_gate_that_timm_does_not_know(self):
        with pytest.raises(RequestError, match="timm:se,gate_layer=odd cannot be built"):
            attnbench.create_module("timm:se,gate_layer=odd", 32)

    @pytest.mark.parametrize("name", ["eca", "ceca", "ecam"])
    def test_a_kernel_size_would_have_no_effect(self, name):
        one, other = (create_attn(name, 64, kernel_size=k) for k in (3, 9))
        assert [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]


class TestCards:
    @every_layer
    def test_is_whole(self, name):
        card = find_attention(f"timm:{name}").card
        assert card_problems(card) == []
        assert card.family in FAMILIES
        assert "timm's " in card.title
        assert "timm's own code, not ours" in card.license
        own = getattr(get_attn(name), "func", get_attn(name))
        assert own.__name__ in card.title

    def test_papers_are_written_once(self):
        shared = {one.key: one for one in vars(papers).values() if isinstance(one, Paper)}
        ours = [module.card.paper for module in catalog().loadable_modules().values()]
        theirs = [layer.card.paper for layer in LAYERS.values()]
        assert all(paper is shared.get(paper.key, paper) for paper in [*ours, *theirs] if paper)
        assert len({paper.key for paper in ours if paper} & shared.keys()) == 10

    @every_built
    @pytest.mark.parametrize("channels", [16, 24, 96, 160, 512])
    def test_formulas(self, name, channels):
        for options in [{}, *OPTIONS.get(name, [])]:
            found = find_attention(f"timm:{name}").with_options(**options)
            if found.card.params is None:
                continue
            module = found.build(channels, (7, 9))
            assert found.params(channels) == sum(one.numel() for one in module.parameters())
            counted = attnbench.cost(module, (1, channels, 7, 9)).macs
            assert found.card.macs(channels, 7, 9, **found.options) == counted

    def test_which_have_formulas(self):
        without = {name for name, one in LAYERS.items() if one.card.params is None}
        assert without == {"ge", "sk", "splat", "lambda", "bottleneck", "halo", "bat"}
        assert without == {name for name, one in LAYERS.items() if one.card.macs is None}

    @pytest.mark.parametrize(
        ("spec", "channels", "size", "reason"),
        [
            ("timm:halo", 64, (7, 8), "height and width must be multiples of block_size"),
            ("timm:halo", 20, (8, 8), "channels must be a multiple of num_heads"),
            ("timm:bat", 64, (8, 7), "height and width must be multiples of block_size"),
            ("timm:bat,groups=3", 64, (7, 7), "squeezed channels must be a multiple of groups"),
            ("timm:bottleneck", 64, None, "the feature size must be given"),
            ("timm:bottleneck", 30, (7, 7), "channels must be a multiple of num_heads"),
            ("timm:lambda", 30, (7, 7), "channels must be a multiple of num_heads"),
            ("timm:lambda,r=8", 32, (7, 7), "r must be odd"),
            ("timm:lambda,r=none", 32, None, "the feature size must be given"),
            ("timm:sk", 33, (7, 7), "channels must be even"),
            ("timm:sk,groups=3", 32, (7, 7), "a multiple of groups"),
            ("timm:sk,kernel_size=4", 32, (7, 7), "kernel_size must be odd"),
            ("timm:splat", 33, (7, 7), "channels must be a multiple of groups"),
            ("timm:splat,kernel_size=2", 32, (7, 7), "kernel_size must be odd"),
            ("timm:ela,kernel_size=4", 32, (7, 7), "kernel_size must be odd"),
            ("timm:strip,kernel_size=2", 32, (7, 7), "kernel_size must be odd"),
            ("timm:cbam,spatial_kernel_size=4", 32, (7, 7), "spatial_kernel_size must be odd"),
        ],
    )
    def test_constraints_are_real(self, spec, channels, size, reason):
        """Each is refused beforehand, and without the card fails or changes the map."""
        found = find_attention(spec)
        with pytest.raises(RequestError, match=reason):
            found.check(channels, size)
        with pytest.raises((RuntimeError, AssertionError, ValueError)):
            extra = {"feature_size": size} if found.signature.takes_feature_size else {}
            module = found.factory(channels, **found.options, **extra).eval()
            x = torch.randn(2, channels, *(size or (7, 7)))
            assert module(x).shape == x.shape


class TestEverywhere:
    def test_in_a_network(self):
        placed = attnbench.insert(attnbench.create_backbone("mobilenet_v2"), "after:14", "timm:eca")
        plain = sum(one.numel() for one in attnbench.create_backbone("mobilenet_v2").parameters())
        assert sum(one.numel() for one in placed.parameters()) == plain + 3

    def test_starting_as_the_identity(self):
        module = attnbench.create_module("timm:se,blend=true", 32).eval()
        x = torch.randn(1, 32, 4, 4)
        assert isinstance(module, nn.Module)
        torch.testing.assert_close(module(x), x)

    def test_feature_size_comes_from_the_place(self):
        placed = attnbench.insert(
            attnbench.create_backbone("mobilenet_v2"), "after:14", "timm:bottleneck,num_heads=2"
        )
        sizes = [(m.height, m.width) for m in placed.modules() if type(m).__name__ == "PosEmbedRel"]
        assert sizes == [(14, 14)]

    def test_the_family_declares_its_package(self):
        assert list(TIMM.packages) == ["timm"]
        assert find_attention("timm:se").packages == ("timm",)
        assert find_attention("timm:se").with_options(bias=False).packages == ("timm",)
        assert find_attention("se").packages == ()
