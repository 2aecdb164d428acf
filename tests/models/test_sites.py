import copy

import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import CountingError, RequestError
from attnbench.models.sites import SiteSurvey

V1 = "mobilenet_v1"
V2 = "mobilenet_v2"
IMAGE = (1, 3, 224, 224)

# (channels, size) of layers 1, 2, ... at 224: facts section 3.2 and the papers' tables
V1_LAYERS = [
    (32, 112), (64, 112), (128, 56), (128, 56), (256, 28), (256, 28),
    *[(512, 14)] * 6, (1024, 7), (1024, 7),
]  # fmt: skip
V2_LAYERS = [
    (32, 112), (16, 112), *[(24, 56)] * 2, *[(32, 28)] * 3, *[(64, 14)] * 4, *[(96, 14)] * 3,
    *[(160, 7)] * 3, (320, 7), (1280, 7),
]  # fmt: skip
V2_HALF = [
    (16, 112), (8, 112), *[(16, 56)] * 2, *[(16, 28)] * 3, *[(32, 14)] * 4, *[(48, 14)] * 3,
    *[(80, 7)] * 3, (160, 7), (1280, 7),
]  # fmt: skip
V3_SMALL = [
    (16, 112), (16, 56), *[(24, 28)] * 2, *[(40, 14)] * 3, *[(48, 14)] * 2, *[(96, 7)] * 3,
    (576, 7),
]  # fmt: skip
V3_LARGE = [
    (16, 112), (16, 112), *[(24, 56)] * 2, *[(40, 28)] * 3, *[(80, 14)] * 4, *[(112, 14)] * 2,
    *[(160, 7)] * 3, (960, 7),
]  # fmt: skip
V1_EXPANDED = [None, *[channels for channels, _ in V1_LAYERS[:-1]]]
V2_EXPANDED = [None, 32, 96, *[144] * 2, *[192] * 3, *[384] * 4, *[576] * 3, *[960] * 3, None]

# facts section 3.2: B3, B5, B6, B8-B10, B12, B13, B15, B16 and DWS3, 5, 7-11, 13
V1_REPLACEABLE = [4, 6, 8, 9, 10, 11, 12, 14]
V2_REPLACEABLE = [4, 6, 7, 9, 10, 11, 13, 14, 16, 17]

MOBILENETS = {
    V1: (V1_LAYERS, V1_REPLACEABLE, [], V1_EXPANDED),
    "timm:mobilenetv1_100": (V1_LAYERS, V1_REPLACEABLE, [], V1_EXPANDED),
    V2: (V2_LAYERS, V2_REPLACEABLE, [], V2_EXPANDED),
    "timm:mobilenetv2_100": (V2_LAYERS, V2_REPLACEABLE, [], V2_EXPANDED),
    # narrow enough that a 16-to-16 block appears nowhere else: same layers as at full width
    "timm:mobilenetv2_050": (V2_HALF, V2_REPLACEABLE, [], None),
    "mobilenet_v3_small": (V3_SMALL, [4, 6, 7, 9, 11, 12], [2, 5, 6, 7, 8, 9, 10, 11, 12], None),
    "mobilenet_v3_large": (
        V3_LARGE,
        [2, 4, 6, 7, 9, 10, 11, 13, 15, 16],
        [5, 6, 7, 12, 13, 14, 15, 16],
        None,
    ),
}
EVERY = pytest.mark.parametrize("name", MOBILENETS)


@pytest.fixture(scope="module")
def sites(backbones):
    found = {}

    def get(name):
        if name not in found:
            found[name] = attnbench.find_sites(backbones(name), IMAGE)
        return found[name]

    return get


class TestMobileNets:
    @EVERY
    def test_layers_channels_sizes(self, sites, name):
        layers = MOBILENETS[name][0]
        assert [site.layer for site in sites(name)] == [*range(1, len(layers) + 1)]
        assert [(site.channels, *site.size) for site in sites(name)] == [
            (channels, size, size) for channels, size in layers
        ]
        assert all(site.placeable for site in sites(name))

    @EVERY
    def test_replaceable(self, sites, name):
        assert [site.layer for site in sites(name) if site.replaceable] == MOBILENETS[name][1]

    @EVERY
    def test_built_in_se(self, sites, name):
        assert [site.layer for site in sites(name) if site.inside.se] == MOBILENETS[name][2]

    @EVERY
    def test_every_block_has_a_depthwise_and_a_pointwise_convolution(self, sites, backbones, name):
        has_head = "v1" not in name
        blocks = sites(name)[1:-1] if has_head else sites(name)[1:]
        assert all(site.inside.depthwise and site.inside.project for site in blocks)
        assert not any(site.inside.depthwise for site in sites(name) if site not in blocks)
        expanded = MOBILENETS[name][3]
        if expanded:
            assert [site.inside.expanded for site in sites(name)] == expanded

    @pytest.mark.parametrize("name", [V1, V2, "mobilenet_v3_small", "mobilenet_v3_large"])
    def test_layer_is_features_of_one_less(self, sites, name):
        assert [site.path for site in sites(name)] == [
            f"features.{site.layer - 1}" for site in sites(name)
        ]

    def test_timm_paths(self, sites):
        # facts section 3.2
        paths = {site.layer: site.path for site in sites("timm:mobilenetv2_100")}
        assert [paths[n] for n in (12, 13, 14)] == ["blocks.4.0", "blocks.4.1", "blocks.4.2"]
        assert [paths[n] for n in (15, 16, 17)] == ["blocks.5.0", "blocks.5.1", "blocks.5.2"]
        assert [paths[n] for n in (1, 18, 19)] == ["bn1", "blocks.6.0", "bn2"]
        paths = {site.layer: site.path for site in sites("timm:mobilenetv1_100")}
        assert [paths[n] for n in (7, 8, 12)] == ["blocks.3.0", "blocks.3.1", "blocks.3.5"]
        assert [paths[n] for n in (13, 14)] == ["blocks.4.0", "blocks.4.1"]

    @EVERY
    def test_sizes_follow_the_input(self, backbones, name):
        found = attnbench.find_sites(backbones(name), (1, 3, 64, 96))
        assert found[-1].size == (2, 3)
        assert [site.layer for site in found] == [*range(1, len(found) + 1)]

    @pytest.mark.parametrize("width", [0.35, 0.75, 1.4])
    def test_widths_keep_the_numbers(self, width):
        with torch.device("meta"):
            model = attnbench.create_backbone(V2, width=width)
        found = attnbench.find_sites(model, (1, 3, 64, 64))
        assert {site.layer for site in found if site.replaceable} >= set(V2_REPLACEABLE)
        assert SiteSurvey(model, (1, 3, 64, 64)).family == V2

    @EVERY
    def test_family(self, backbones, name):
        wanted = name.removeprefix("timm:").replace("mobilenetv", "mobilenet_v")
        assert wanted.startswith(SiteSurvey(backbones(name), (1, 3, 64, 64)).family)

    def test_json(self, sites):
        assert sites(V2)[13].to_dict() == {
            "layer": 14,
            "path": "features.13",
            "kind": "InvertedResidual",
            "channels": 96,
            "size": [14, 14],
            "expanded": 576,
            "replaceable": True,
            "placeable": True,
            "reason": None,
            "after_depthwise": "features.13.conv.1",
            "after_project": "features.13.conv.3",
            "replace_se": None,
        }


UNKNOWN = [
    "resnet18",
    "resnet50",
    "regnet_y_400mf",
    "efficientnet_b0",
    "shufflenet_v2_x0_5",
    "squeezenet1_0",
    "convnext_tiny",
    "swin_t",
    "vit_b_16",
]


@pytest.fixture(scope="module")
def survey():
    surveys = {}

    def get(name):
        if name not in surveys:
            # without memory for weights; RegNet's constructor computes with values
            with torch.device("cpu" if name.startswith("regnet") else "meta"):
                surveys[name] = SiteSurvey(attnbench.create_backbone(name), IMAGE)
        return surveys[name]

    return get


class TestUnknownBackbones:
    @pytest.mark.parametrize("name", UNKNOWN)
    def test_every_module_is_listed_with_what_can_be_done(self, survey, name):
        found = survey(name).sites()
        assert [site.path for site in found] == survey(name).paths()
        assert all(site.layer is None for site in found)
        assert survey(name).family is None
        for site in found:
            assert site.placeable == (site.channels > 0) == (min(site.size) > 0)
            assert site.placeable or not site.replaceable
        assert any(site.placeable for site in found)

    def reasons(self, survey, name):
        return {site.path: site.reason for site in survey(name).sites()}

    def test_resnet(self, survey):
        reasons = self.reasons(survey, "resnet50")
        assert reasons["layer1.0.relu"] == "called 3 times in one forward pass"
        assert reasons["fc"] == "takes a tensor of 2 axes, not (B, C, H, W)"
        assert reasons["layer1"] is reasons["layer4.2.bn3"] is reasons["relu"] is None

    def test_transformers(self, survey):
        assert (
            self.reasons(survey, "vit_b_16")["encoder.layers.encoder_layer_0"]
            == "takes a tensor of 3 axes, not (B, C, H, W)"
        )
        assert (
            "3 arguments"
            in (self.reasons(survey, "vit_b_16")["encoder.layers.encoder_layer_0.self_attention"])
        )
        assert (
            self.reasons(survey, "swin_t")["features.1.0"] == "takes (B, H, W, C), not (B, C, H, W)"
        )
        assert (
            self.reasons(survey, "swin_t")["features.0"] == "returns (B, H, W, C), not (B, C, H, W)"
        )
        placeable = [path for path, reason in self.reasons(survey, "swin_t").items() if not reason]
        assert placeable == ["features.0.0", "avgpool"]

    def test_convnext_is_half_channels_last(self, survey):
        reasons = self.reasons(survey, "convnext_tiny")
        assert reasons["features.1.0"] is None
        assert reasons["features.1.0.block.0"] is None
        assert reasons["features.1.0.block.3"] == "takes (B, H, W, C), not (B, C, H, W)"
        assert reasons["features.1.0.block.1"] == "returns (B, H, W, C), not (B, C, H, W)"

    def test_inside_of_unknown_blocks(self, survey):
        blocks = {site.path: site for site in survey("efficientnet_b0").sites()}
        inside = blocks["features.3.1"].inside
        assert inside.depthwise == "features.3.1.block.1"
        assert inside.se == "features.3.1.block.2"
        assert inside.project == "features.3.1.block.3"
        assert inside.expanded == 240
        assert blocks["features.3.1"].replaceable
        assert not blocks["features.3.0"].replaceable


class Crooked(nn.Module):
    """What hand-written networks do."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.split = Split()
        self.join = Join()
        self.idle = nn.Conv2d(8, 8, 1)
        self.stages = nn.ModuleList([nn.Conv2d(8, 8, 1)])
        self.twin = self.alias = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.act(self.second(self.act(self.first(x))))
        x = self.join(*self.split(x))
        x = self.alias(self.stages[0](x))
        return self.head(x.mean((2, 3)))


class Split(nn.Module):
    def forward(self, x):
        return x, x * 2


class Join(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.fixture(scope="module")
def crooked():
    return {site.path: site for site in attnbench.find_sites(Crooked(), (1, 3, 8, 6))}


class TestHandWritten:
    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("first", None),
            ("second", None),
            ("stages.0", None),
            ("act", "called 2 times in one forward pass"),
            ("split", "returns something else than one tensor"),
            ("join", "takes 2 arguments, not one tensor"),
            ("idle", "not called in the forward pass"),
            ("stages", "not called in the forward pass"),
            ("twin", "registered under several names"),
            ("head", "takes a tensor of 2 axes, not (B, C, H, W)"),
        ],
    )
    def test_reasons(self, crooked, path, reason):
        site = crooked[path]
        assert (site.reason, site.layer) == (reason, None)
        assert (site.channels, *site.size) == ((0, 0, 0) if reason else (8, 8, 6))

    def test_replaceable(self, crooked):
        assert {path for path, site in crooked.items() if site.replaceable} == {
            "second",
            "stages.0",
        }
        assert crooked["first"].input == (3, 8, 6)

    def test_model_is_not_changed(self):
        model = Crooked()
        before = copy.deepcopy(model.state_dict())
        modules = dict(model.named_modules())
        attnbench.find_sites(model, (1, 3, 8, 6))
        assert dict(model.named_modules()) == modules
        assert model.training
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key])
        assert all("forward" not in vars(module) for module in model.modules())


@pytest.mark.parametrize("size", [(), (1, 3, 0, 4), (1, 3, 2.5, 4), "abc"])
def test_input_size_that_is_none(size):
    with pytest.raises(RequestError, match="input size"):
        attnbench.find_sites(Crooked(), size)


def test_input_that_does_not_fit():
    with pytest.raises(CountingError, match="Crooked cannot be counted"):
        attnbench.find_sites(Crooked(), (1, 4, 8, 8))
