import sys

import pytest
import torch

import attnbench
from attnbench.errors import PluginError, RequestError, UnknownNameError
from attnbench.models.backbones import canonical_backbone, create_backbone, with_classes
from attnbench.registry.backbone_names import BACKBONES, FAMILIES, is_backbone
from attnbench.registry.specs import parse_spec


@pytest.fixture(autouse=True)
def _without_memory():
    """Shapes are all that these tests look at."""
    with torch.device("meta"):
        yield


def params(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mobilenet_v1", 4_231_976),
        ("mobilenet_v2", 3_504_872),
        ("mobilenet_v3_small", 2_542_856),
        ("mobilenet_v3_large", 5_483_032),
        ("mobilenet_v2,width=1.4", 6_108_776),
        ("mobilenet_v2,width_mult=1.4", 6_108_776),
        ("mobilenet_v1,width=0.5,num_classes=10", 1_331_592 - 990 * 513),
        ("resnet18", 11_689_512),
        ("regnet_y_400mf", 4_344_144),
        ("shufflenet_v2_x0_5", 1_366_792),
        ("vit_b_16", 86_567_656),
    ],
)
def test_by_name(spec, expected):
    # torchvision's documentation states these
    # RegNet's constructor computes with values
    with torch.device("cpu" if spec.startswith("regnet") else "meta"):
        model = create_backbone(spec)
    assert params(model) == expected
    assert model.training


@pytest.mark.parametrize("name", ["efficientnet_b0", "squeezenet1_0", "convnext_tiny", "swin_t"])
def test_any_torchvision_classifier(name):
    head = list(create_backbone(name, num_classes=7).parameters())[-1]
    assert head.shape == (7,)


def test_options_come_from_spec_and_call():
    model = create_backbone("mobilenet_v1,width=0.5,num_classes=10", num_classes=5)
    assert model.classifier[1].out_features == 5
    assert params(create_backbone(parse_spec("mobilenet_v1,width=0.5"))) == 1_331_592


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"])
@pytest.mark.parametrize("width", [0.35, 0.6, 1.1])
def test_odd_widths(name, width):
    model = create_backbone(name, width=width)
    assert attnbench.cost(model, (1, 3, 64, 64)).macs > 0


class TestTimm:
    def test_by_name(self):
        assert params(create_backbone("timm:mobilenetv1_100")) == 4_231_976
        assert params(create_backbone("timm:mobilenetv2_100,num_classes=10")) == 2_236_682

    @pytest.mark.parametrize("name", ["timm:mobilnetv2_100", "timm:", "timm:resnet_18"])
    def test_unknown_name(self, name):
        with pytest.raises(UnknownNameError, match="unknown timm backbone") as caught:
            create_backbone(name)
        assert len(str(caught.value)) < 200

    def test_near_miss(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'mobilenetv2_100'"):
            create_backbone("timm:mobilnetv2_100")

    def test_absent(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "timm", None)
        with pytest.raises(RequestError) as caught:
            create_backbone("timm:mobilenetv1_100")
        assert str(caught.value) == (
            "timm:mobilenetv1_100 needs timm. Install it: pip install 'attnbench[timm]'"
        )

    def test_absent_it_still_has_a_name(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "timm", None)
        assert str(canonical_backbone("timm:mobilenetv1_100")) == "timm:mobilenetv1_100"

    def test_absent_leaves_the_others_alone(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "timm", None)
        assert len(attnbench.find_sites(create_backbone("mobilenet_v2"), (1, 3, 64, 64))) == 19


MISTAKES = [
    ("mobilenet_v22", "unknown backbone 'mobilenet_v22'. Did you mean 'mobilenet_v2'"),
    ("resnet1", "Did you mean"),
    ("MobileNetV1", "unknown backbone"),
    ("xyzzy", "Any torchvision classifier or timm:NAME will do."),
    ("mobilenet_v1,widht=0.5", "mobilenet_v1 has no option 'widht'; it takes width, num_classes"),
    ("mobilenet_v2,widht=0.5", "Did you mean 'width'"),
    # torchvision's own builder swallows what it does not know
    ("mobilenet_v3_small,widht=0.5", "Did you mean 'width'"),
    ("convnext_tiny,depht=3", "convnext_tiny has no option 'depht'"),
    ("resnet18,width=0.5", "resnet18 has no option 'width'"),
    ("mobilenet_v1,width=wide", "width must be a number above 0: got 'wide'"),
    ("mobilenet_v1,width=0", "width must be a number above 0: got 0"),
    ("mobilenet_v2,width=-1", "width must be a number above 0: got -1"),
    ("mobilenet_v2,width=true", "width must be a number above 0: got True"),
    ("mobilenet_v2,width=inf", "width must be a number above 0: got inf"),
    ("mobilenet_v2,width=nan", "width must be a number above 0: got nan"),
    ("mobilenet_v1,num_classes=0", "num_classes must be a whole number above 0: got 0"),
    ("resnet18,num_classes=ten", "num_classes must be a whole number above 0: got 'ten'"),
]


@pytest.mark.parametrize("find", [create_backbone, canonical_backbone])
@pytest.mark.parametrize(("spec", "message"), MISTAKES)
def test_mistakes(find, spec, message):
    with pytest.raises(RequestError) as caught:
        find(spec)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_only_the_builder_finds_out():
    with pytest.raises(RequestError, match="backbone resnet18,weights=NOTHING cannot be built"):
        create_backbone("resnet18", weights="NOTHING")


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("mobilenet_v1,width=1.0,num_classes=1000", "mobilenet_v1"),
        ("mobilenet_v1,width=1", "mobilenet_v1"),
        ("mobilenet_v1,num_classes=10,width=0.50", "mobilenet_v1,num_classes=10,width=0.5"),
        ("resnet18", "resnet18"),
    ],
)
def test_canonical(spec, canonical):
    assert str(canonical_backbone(spec)) == canonical
    assert str(canonical_backbone(canonical)) == canonical
    assert params(create_backbone(canonical)) == params(create_backbone(spec))


def test_catalogue():
    for listed in BACKBONES:
        assert is_backbone(listed.name)
        options = {"width": 0.5, "num_classes": 3}
        assert set(listed.options) == set(options)
        assert create_backbone(listed.name, **options) is not None
    assert [one.name for one in FAMILIES] == ["NAME", "timm:NAME", "FILE.py:NAME"]
    assert is_backbone("timm:anything")
    assert not is_backbone("ulsam")


OWN = """
from torch import nn

def build(width=1.0, num_classes=10, kernels=(3, 5)):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(4 * width) * len(kernels), num_classes))

def needs(width):
    return build(width)

def anything(**options):
    return build(**options)

def fails():
    raise ValueError("no file of weights")

class Net(nn.Module):
    pass

def text():
    return "net"

number = 7
"""


class TestOwnNetworks:
    @pytest.fixture(autouse=True)
    def file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net.py").write_text(OWN)

    def test_options_reach_the_callable(self):
        model = create_backbone("net.py:build,width=2,num_classes=7,kernels=[1,3,5]")
        assert (model[1].in_features, model[1].out_features) == (24, 7)
        assert create_backbone("net.py:anything,width=2", num_classes=3)[1].out_features == 3
        assert type(create_backbone("net.py:Net")).__name__ == "Net"

    def test_an_attribute_of_a_package(self):
        assert params(create_backbone("torchvision.models:mobilenet_v2")) == 3_504_872

    def test_its_own_defaults_are_dropped(self):
        canonical = str(canonical_backbone("net.py:build,width=1.0,num_classes=1000"))
        assert canonical == "net.py:build,num_classes=1000"
        assert str(canonical_backbone("net.py:build,num_classes=10")) == "net.py:build"

    def test_classes_of_a_data_set_go_where_they_are_taken(self):
        assert with_classes("net.py:build", 4).options == {"num_classes": 4}
        assert with_classes("net.py:needs,width=1", 4).options == {"width": 1}
        assert with_classes("mobilenet_v2", 4).options == {"num_classes": 4}

    @pytest.mark.parametrize(
        ("spec", "kind", "value"),
        [
            ("net.py:needs", RequestError, "Write net.py:needs,width=VALUE"),
            ("net.py:build,wdth=2", RequestError, "Did you mean 'width'"),
            ("net.py:Net,width=2", RequestError, "it takes none"),
            ("net.py:fails", RequestError, "ValueError: no file of weights"),
            ("net.py:text", PluginError, "got a str"),
            ("net.py:number", PluginError, "got a int"),
            ("net.py:none", PluginError, "it defines"),
            ("net.py", RequestError, "Write net.py:build, or :needs"),
            ("other.py", RequestError, "backbone file 'other.py' does not exist"),
            ("no_such_package:net", PluginError, "no_such_package"),
        ],
    )
    def test_a_wrong_request_is_one_line(self, spec, kind, value):
        with pytest.raises(kind) as raised:
            create_backbone(spec)
        assert value in str(raised.value)
        assert "\n" not in str(raised.value)
