import copy
import io
import pickle
from functools import partial

import pytest
import torch
from torch import nn

import attnbench
from attnbench import Card, Constraint, Inserted, insert
from attnbench.errors import PlacementError, PluginError, RequestError
from attnbench.models.insertion import fill
from attnbench.models.placement_slots import Slot
from attnbench.models.sites import SiteSurvey
from attnbench.registry.attention import find_attention
from attnbench.registry.specs import parse_spec

SIZE = (1, 3, 64, 64)
MIXED = "after:3+after-depthwise:14+after-project:14+replace:17"
put = partial(insert, input_size=SIZE)


def inserted(model):
    return {path: m for path, m in model.named_modules() if isinstance(m, Inserted)}


@pytest.fixture(scope="module")
def v2(backbones):
    return backbones("mobilenet_v2")


@pytest.fixture
def narrow():
    torch.manual_seed(0)
    return attnbench.create_backbone("mobilenet_v2", width=0.35, num_classes=4)


class TestGivenModel:
    def test_is_not_changed(self, narrow):
        narrow.train()
        narrow.features[2].eval()
        narrow.features[5].register_forward_hook(lambda *_: None)
        modules = list(narrow.named_modules())
        training = [module.training for _, module in modules]
        hooks = [dict(module._forward_hooks) for _, module in modules]
        state = {key: (value, value.clone()) for key, value in narrow.state_dict().items()}
        put(narrow, MIXED, "cbam")
        assert list(narrow.named_modules()) == modules
        assert [module.training for _, module in modules] == training
        assert [dict(module._forward_hooks) for _, module in modules] == hooks
        for key, value in narrow.state_dict().items():
            before, copied = state[key]
            assert value.data_ptr() == before.data_ptr()
            assert torch.equal(value, copied)

    def test_shares_nothing_with_the_result(self, narrow):
        placed = put(narrow, MIXED, "cbam")
        ours = {t.data_ptr() for t in narrow.state_dict().values() if t.numel()}
        assert not ours & {t.data_ptr() for t in placed.state_dict().values() if t.numel()}
        assert not set(narrow.modules()) & set(placed.modules())


class TestKeys:
    @pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
    @pytest.mark.parametrize("position", ["after", "after-depthwise", "after-project"])
    def test_rest_becomes_block_rest(self, backbones, name, position):
        model = backbones(name)
        placed = put(model, f"{position}:all", "se")
        paths = sorted(inserted(placed), key=len, reverse=True)
        mapped = {}
        for key in model.state_dict():
            inside = next((path for path in paths if key.startswith(f"{path}.")), None)
            rest = key.removeprefix(f"{inside}.")
            mapped[f"{inside}.block.{rest}" if inside else key] = key
        own = {key for key in placed.state_dict() if ".attention." in key}
        assert set(placed.state_dict()) - own == set(mapped)
        for new, old in mapped.items():
            assert torch.equal(placed.state_dict()[new], model.state_dict()[old])
        assert own == {
            f"{path}.attention.{key}"
            for path in paths
            for key in attnbench.create_module("se", 16).state_dict()
        }

    def test_replaced_blocks_lose_theirs(self, v2):
        placed = put(v2, "replace:14", "se")
        keys = {key for key in placed.state_dict() if key.startswith("features.13.")}
        assert keys == {
            f"features.13.attention.{layer}.{kind}"
            for layer in ("squeeze", "excite")
            for kind in ("weight", "bias")
        }
        rest = {key for key in placed.state_dict() if not key.startswith("features.13.")}
        assert rest == {key for key in v2.state_dict() if not key.startswith("features.13.")}
        assert isinstance(placed.features[13].block, nn.Identity)


class TestModules:
    def test_instances_are_independent(self, narrow):
        placed = put(narrow, "after:all", "ulsam,groups=2")
        attentions = [one.attention for one in inserted(placed).values()]
        assert len(attentions) == len(set(attentions)) == 17
        ids = [id(p) for one in attentions for p in one.parameters()]
        assert len(ids) == len(set(ids))

    @pytest.mark.parametrize(
        "module",
        [
            "ulsam,groups=8",
            parse_spec("ulsam,groups=8"),
            find_attention("ulsam,groups=8"),
            find_attention("ulsam,groups=8").factory,
        ],
    )
    def test_ways_to_name_a_module(self, v2, module):
        options = {} if not isinstance(module, type) else {"groups": 8}
        placed = put(v2, "after:14", module, **options)
        assert placed.features[13].attention.groups == 8

    @pytest.mark.parametrize("module", ["ulsam,groups=8", find_attention("ulsam,groups=8")])
    def test_options_of_the_call_win(self, v2, module):
        placed = put(v2, "after:14", module, groups=2, momentum=0.5)
        assert placed.features[13].attention.groups == 2
        assert placed.features[13].attention.depthwise_norm.momentum == 0.5

    def test_callables_get_channels_and_feature_size(self, v2):
        seen = []

        def factory(channels, *, feature_size=None, depth: int = 1):
            seen.append((channels, feature_size, depth))
            return nn.Conv2d(channels, channels, 1)

        put(v2, "replace:14,17", factory, depth=3)
        assert seen == [(96, (4, 4), 3), (160, (2, 2), 3)]
        insert(v2, "after:14", factory)
        assert seen[-1] == (96, (14, 14), 1)

    def test_plugin_file(self, v2, tmp_path):
        path = tmp_path / "mine.py"
        path.write_text(
            "from torch import nn\ndef make(channels): return nn.BatchNorm2d(channels)\n"
        )
        placed = put(v2, "after:14", f"{path}:make")
        assert isinstance(placed.features[13].attention, nn.BatchNorm2d)


class TestSurroundings:
    @pytest.mark.parametrize("training", [True, False])
    def test_mode(self, narrow, training):
        placed = put(narrow.train(training), MIXED, "cbam")
        assert {module.training for module in placed.modules()} == {training}

    def test_partly_frozen(self, narrow):
        narrow.train()
        narrow.features[13].eval()
        narrow.features[2].conv[1].eval()
        for parameter in narrow.features[2].parameters():
            parameter.requires_grad = False
        placed = put(narrow, "after:3,14+after-depthwise:5,14", "se")
        assert not any(module.training for module in placed.features[13].modules())
        assert not placed.features[2].block.conv[1][0].training
        assert placed.features[2].block.conv[0].training
        assert placed.features[2].training
        assert placed.features[2].attention.training
        assert placed.features[4].conv[1].attention.training
        assert not any(p.requires_grad for p in placed.features[2].block.parameters())
        assert all(p.requires_grad for p in placed.features[2].attention.parameters())
        assert all(p.requires_grad for p in placed.features[13].parameters())

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    @pytest.mark.parametrize("module", ["se", "ulsam,groups=2", "cbam"])
    def test_dtype(self, narrow, dtype, module):
        placed = put(narrow.to(dtype).eval(), MIXED, module)
        assert {p.dtype for p in placed.parameters()} == {dtype}
        with torch.no_grad():
            assert placed(torch.zeros(SIZE, dtype=dtype)).dtype == dtype

    def test_meta_device(self, narrow):
        real = put(narrow, MIXED, "ulsam,groups=2")
        placed = put(copy.deepcopy(narrow).to("meta"), MIXED, "ulsam,groups=2")
        assert {tensor.device.type for tensor in placed.state_dict().values()} == {"meta"}
        assert attnbench.cost(placed, SIZE).macs == attnbench.cost(real, SIZE).macs

    def test_channels_last(self, narrow):
        converted = copy.deepcopy(narrow).to(memory_format=torch.channels_last)
        kernel = put(converted, "after:14", "cbam").features[13].attention.spatial[0].weight
        assert kernel.is_contiguous(memory_format=torch.channels_last)
        assert not kernel.is_contiguous()
        kernel = put(narrow, "after:14", "cbam").features[13].attention.spatial[0].weight
        assert kernel.is_contiguous()
        placed = put(converted.eval(), MIXED, "cbam")
        seen = []
        placed.features[13].register_forward_hook(lambda *args: seen.append(args[-1]))
        placed(torch.zeros(SIZE).to(memory_format=torch.channels_last))
        assert seen[0].is_contiguous(memory_format=torch.channels_last)

    def test_replaced_activation_takes_the_dtype_of_the_model(self):
        model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.BatchNorm2d(8)).double()
        placed = put(model, "replace:1*", "se")
        assert {p.dtype for p in placed.parameters()} == {torch.float64}

    def test_network_without_parameters(self):
        placed = put(nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), "after:0*", "se,reduction=1")
        assert placed(torch.zeros(SIZE)).shape == (1, 3, 32, 32)


class TestLife:
    """What a network must still be able to do with modules in it."""

    @pytest.fixture(scope="class")
    @classmethod
    def placed(cls, backbones):
        torch.manual_seed(1)
        return put(backbones("mobilenet_v2"), MIXED, "cbam").eval()

    def test_deep_copies_and_pickles(self, placed, image):
        for again in (copy.deepcopy(placed), pickle.loads(pickle.dumps(placed))):
            assert again is not placed
            assert torch.equal(again(image), placed(image))
            assert list(inserted(again)) == list(inserted(placed))

    def test_saves_and_loads_its_state_dict(self, v2, placed, image):
        file = io.BytesIO()
        torch.save(placed.state_dict(), file)
        file.seek(0)
        other = put(v2, MIXED, "cbam").eval()
        assert not torch.equal(other(image), placed(image))
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(image), placed(image))

    def test_saves_and_loads_whole(self, placed, image):
        file = io.BytesIO()
        torch.save(placed, file)
        file.seek(0)
        assert torch.equal(torch.load(file, weights_only=False)(image), placed(image))

    @pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
    def test_exports(self, backbones, image, name):
        placed = put(backbones(name), "after:14+after-depthwise:12+replace:11", "ulsam")
        program = torch.export.export(placed, (image,))
        torch.testing.assert_close(program.module()(image), placed(image))
        called = [str(node.target) for node in program.graph.nodes]
        assert "aten.softmax.int" in called
        assert not any("clone" in target for target in called)

    @pytest.mark.parametrize("training", [True, False])
    def test_compiles_without_graph_breaks(self, narrow, image, training):
        torch.compiler.reset()
        placed = put(narrow, MIXED, "ulsam,groups=2").train(training)
        batch = image.repeat(2, 1, 1, 1)
        compiled = torch.compile(copy.deepcopy(placed), backend="eager", fullgraph=True)
        torch.manual_seed(0)
        expected = placed(batch)
        torch.manual_seed(0)
        torch.testing.assert_close(compiled(batch), expected)
        compiled(batch).sum().backward()


def test_facts_rows():
    """The measured column of facts section 3.3, to the last parameter and 0.001M."""
    rows = [
        ("mobilenet_v1", "after:11", 4_234_548, 568.941),
        ("mobilenet_v1", "after:13", 4_237_108, 568.841),
        ("mobilenet_v2", "after:17", 3_505_684, 300.790),
        ("mobilenet_v1", "replace:11", 3_965_748, 516.658),
        ("mobilenet_v1,width=0.75", "replace:11", 2_435_044, 295.972),
        ("mobilenet_v1,width=0.5", "replace:11", 1_264_020, 136.301),
        ("mobilenet_v2", "replace:14", 3_387_092, 278.120),
        ("mobilenet_v2", "replace:17", 3_185_684, 285.314),
        ("mobilenet_v2", "replace:10,14", 3_333_152, 267.834),
        ("mobilenet_v2", "replace:16,17", 2_866_496, 269.853),
        ("mobilenet_v2", "replace:14,17", 3_067_904, 262.659),
        ("mobilenet_v2", "replace:13,14,16,17", 2_630_936, 224.544),
    ]
    with torch.device("meta"):
        models = {name: attnbench.create_backbone(name) for name, *_ in rows}
    for name, placement, params, macs in rows:
        cost = attnbench.cost(insert(models[name], placement, "ulsam", groups=4))
        assert (cost.params, round(cost.macs / 1e6, 3)) == (params, macs), (name, placement)


class Shrinking(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x[:, :, ::2]


class Crashing(Shrinking):
    def forward(self, x):
        raise IndexError("out of\nrange")


class TestRefusals:
    @pytest.mark.parametrize(
        ("module", "message"),
        [
            (
                Shrinking,
                r"layer 14 .features\.13, 96x4x4.: .* another shape, must return .*for \(1, 96, 4, 4\)",
            ),
            (Crashing, r"layer 14 .features\.13, 96x4x4.: Crashing fails on .*IndexError"),
            (lambda channels: nn.Conv2d(channels, 7, 1), "returns another shape"),
            (lambda channels: nn.Linear(3, 3), r"layer 14 .*fails"),
            (lambda channels: channels, r"layer 14 .* nn\.Module: got a int"),
            (lambda channels: 1 / 0, r"layer 14 .*cannot be built .*ZeroDivisionError"),
        ],
    )
    def test_module_that_does_not_fit(self, v2, module, message):
        with pytest.raises(RequestError, match=message) as caught:
            put(v2, "after:14", module)
        assert "\n" not in str(caught.value)

    def test_only_the_site_where_it_fails_is_named(self, v2):
        def half(channels):
            return Shrinking(channels) if channels == 160 else nn.Identity()

        with pytest.raises(PluginError, match=r"layer 17 .features\.16, 160x2x2."):
            put(v2, "after:14,17", half)

    @pytest.mark.parametrize(
        ("placement", "message"),
        [
            ("replace:14,17", "layer 14 .*cannot work on 96 channels at 4x4: groups must divide"),
            ("replace:14,15", "layer 15 turns 96x4x4 into 160x2x2"),
            ("after:99", "there is no layer 99"),
            ("replace:14+after-project:14", "also puts a module inside it"),
            ("afters:3", "unknown position 'afters'"),
        ],
    )
    def test_nothing_is_built_before_everything_is_known(self, v2, monkeypatch, placement, message):
        def factory(channels, *, groups=64):
            raise AssertionError("built")

        factory.card = Card(
            title="T",
            family="spatial",
            constraints=(
                Constraint("groups must divide channels", lambda c, groups, **_: c % groups == 0),
            ),
        )
        monkeypatch.setattr(copy, "deepcopy", lambda *_: pytest.fail("copied"))
        with pytest.raises(PlacementError, match=message):
            put(v2, placement, factory)

    def test_unknown_module_and_option_come_before_the_network_is_looked_at(self):
        with pytest.raises(RequestError, match="Did you mean 'cbam'"):
            insert(nn.Identity(), "after:3", "cmab")
        with pytest.raises(RequestError, match="no option 'gruops'"):
            insert(nn.Identity(), "after:3", "ulsam", gruops=3)


def test_fill_takes_slots(v2):
    slots = [Slot("features.13", 14, False, 96, (4, 4))]
    assert list(inserted(fill(v2, slots, find_attention("se")))) == ["features.13"]


def test_survey_of_a_placed_network_counts_the_same_layers(v2):
    placed = put(v2, "replace:14,17", "ulsam")
    survey = SiteSurvey(placed, SIZE)
    assert list(survey.layers) == [*range(1, 20)]
    replaced = survey.site("features.13")
    assert (replaced.kind, replaced.replaceable) == ("Inserted", False)
    with pytest.raises(PlacementError, match="layer 14 is no block"):
        put(placed, "replace:14", "se")
