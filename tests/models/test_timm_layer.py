"""Our modules where timm takes an attention layer: real timm models, and what is refused."""

import copy
import pickle
import sys
from dataclasses import replace
from functools import partial

import pytest
import timm
import torch
from timm.layers import create_attn, get_attn
from timm.models import byobnet, cspnet, mobilenetv3, nfnet, vovnet
from torch import nn

import attnbench
from attnbench.errors import RequestError, UnknownNameError
from attnbench.models.timm_layer import TimmLayer
from attnbench.registry.attention import find_attention

SMALL = {"num_classes": 3}


def _resnet(layer):
    return timm.create_model("resnet14t", block_args={"attn_layer": layer}, **SMALL)


def _res2net(layer):
    return timm.create_model("res2net50_26w_4s", block_args={"attn_layer": layer}, **SMALL)


def _sknet(layer):
    return timm.create_model("skresnet18", block_args={"attn_layer": layer}, **SMALL)


def _efficientnet(layer):
    return timm.create_model("mnasnet_small", se_layer=layer, **SMALL)


def _mobilenetv3(layer):
    blocks = [["ds_r1_k3_s2_e1_c16_se0.25"], ["ir_r2_k3_s2_e3_c24_se0.25"]]
    from timm.models._efficientnet_builder import decode_arch_def

    return mobilenetv3.MobileNetV3(
        decode_arch_def(blocks), stem_size=16, num_features=64, se_layer=layer, **SMALL
    )


def _byobnet(layer, name="gernet_s", **changes):
    config = replace(byobnet.model_cfgs[name], attn_layer=layer, **changes)
    return byobnet.ByobNet(config, **SMALL)


def _regnet(layer):
    return _byobnet(layer, "regnetz_b16")


def _cspnet(layer):
    config = cspnet.model_cfgs["cs3darknet_s"]
    return cspnet.CspNet(replace(config, stages=replace(config.stages, attn_layer=layer)), **SMALL)


def _vovnet(layer):
    config = {**vovnet.model_cfgs["vovnet39a"], "attn": layer}
    return vovnet.VovNet(config, **SMALL)


def _nfnet(layer):
    config = replace(nfnet.model_cfgs["nf_regnet_b0"], attn_layer=layer)
    return nfnet.NormFreeNet(config, **SMALL)


MODELS = {
    "resnet": (_resnet, 4),
    "res2net": (_res2net, 16),
    "sknet": (_sknet, 8),
    "efficientnet": (_efficientnet, 10),
    "mobilenetv3": (_mobilenetv3, 3),
    "byobnet": (_byobnet, 14),
    "regnet": (_regnet, 22),
    "cspnet": (_cspnet, 9),
    "vovnet": (_vovnet, 4),
    "nfnet": (_nfnet, 16),
}


def of_class(model, name):
    return [one for one in model.modules() if type(one).__name__ == name]


class TestModels:
    @pytest.mark.parametrize("family", MODELS)
    def test_layer_is_in_the_model(self, family):
        build, places = MODELS[family]
        model = build(attnbench.timm_layer("ulsam", groups=2)).eval()
        found = of_class(model, "ULSAM")
        assert len(found) == places
        called = []
        for one in found:
            one.register_forward_hook(lambda module, *_: called.append(module))
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 3)
        assert set(called) == set(found)

    def test_state_dict_round_trip(self):
        layer = attnbench.timm_layer("cbam", reduction=4)
        one, other = _resnet(layer).eval(), _resnet(layer).eval()
        x = torch.randn(1, 3, 32, 32)
        assert not torch.equal(one(x), other(x))
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(x), other(x))
        assert any("mlp" in key for key in one.state_dict())

    def test_trains(self):
        model = _resnet(attnbench.timm_layer("ulsam")).train()
        model(torch.randn(2, 3, 64, 64)).square().sum().backward()
        parameters = [p for one in of_class(model, "ULSAM") for p in one.parameters()]
        assert parameters
        assert all(p.grad is not None for p in parameters)

    @pytest.mark.parametrize("name", attnbench.list_modules()[::3])
    def test_modules_of_all_kinds(self, name):
        model = _efficientnet(attnbench.timm_layer(name)).eval()
        found = [one for one in model.modules() if type(one) is find_attention(name).factory]
        assert len(found) == 10
        # not that it is finite: timm draws the weights afresh, and what squares x in each of ten
        # layers overflows
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 3)

    def test_a_model_that_holds_the_layer_is_pickled(self):
        layer = pickle.loads(pickle.dumps(attnbench.timm_layer("ulsam", groups=2)))
        assert layer.by_hand == {"groups": 2}
        model = _resnet(attnbench.timm_layer("se")).eval()
        x = torch.randn(1, 3, 64, 64)
        assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))

    def test_ratio_of_the_place(self):
        """EfficientNets give each block the ratio of its unexpanded channels: 0.25 / 6 is 24."""
        model = _efficientnet(attnbench.timm_layer("se"))
        widths = [
            (one.squeeze.in_channels, one.squeeze.out_channels) for one in of_class(model, "SE")
        ]
        assert widths
        theirs = timm.create_model("mnasnet_small", **SMALL)
        expected = [
            (one.conv_reduce.in_channels, one.conv_reduce.out_channels)
            for one in of_class(theirs, "SqueezeExcite")
        ]
        assert widths == expected

    def test_reduction_by_hand_wins(self):
        model = _efficientnet(attnbench.timm_layer("se", reduction=16))
        for one in of_class(model, "SE"):
            assert one.squeeze.out_channels == one.squeeze.in_channels // 16

    def test_a_layer_that_fails_timms_trial(self):
        """timm tries a layer on 8 channels to see whether it takes a ratio; 16 groups do not fit."""
        layer = attnbench.timm_layer("ulsam", groups=16)
        model = timm.create_model("efficientnet_b0", se_layer=layer, **SMALL).eval()
        assert len(of_class(model, "ULSAM")) == 16
        tried = layer(8, rd_ratio=1.0)
        with pytest.raises(RequestError, match="cannot work on 8 channels"):
            tried(torch.randn(1, 8, 4, 4))
        with pytest.raises(RequestError, match="cannot work on 24 channels"):
            layer(24, rd_ratio=1.0)

    def test_attn_kwargs(self):
        layer = attnbench.timm_layer("ulsam")
        model = _byobnet(layer, attn_kwargs={"groups": 8})
        assert {one.groups for one in of_class(model, "ULSAM")} == {8}

    def test_self_attention_with_a_stride_is_refused(self):
        from timm.models import byoanet

        config = replace(
            byoanet.model_cfgs["botnet26t"], self_attn_layer=attnbench.timm_layer("ulsam")
        )
        with pytest.raises(RequestError, match=r"must keep the shape .*got stride=2"):
            byobnet.ByobNet(config, img_size=64, **SMALL)


class TestCall:
    def test_taken_by_get_attn_and_create_attn(self):
        layer = attnbench.timm_layer("se")
        assert get_attn(layer) is layer
        assert type(create_attn(layer, 32)).__name__ == "SE"
        assert type(partial(get_attn(layer), rd_ratio=0.5)(32)).__name__ == "SE"

    @pytest.mark.parametrize(
        ("given", "hidden"),
        [
            ({}, 4),
            ({"rd_ratio": 0.25}, 16),
            ({"rd_ratio": 0.3}, 21),
            ({"rd_channels": 16}, 16),
            ({"rd_channels": 8, "rd_ratio": 0.25}, 8),
            ({"rd_channels": None, "rd_ratio": None}, 4),
            ({"reduction": 2, "rd_ratio": 0.25}, 32),
            ({"act_layer": nn.SiLU, "norm_layer": nn.BatchNorm2d, "gate_layer": "sigmoid"}, 4),
            ({"rd_divisor": 8, "stride": 1, "out_channels": 64}, 4),
        ],
    )
    def test_what_timm_passes(self, given, hidden):
        assert attnbench.timm_layer("se")(64, **given).squeeze.out_channels == hidden

    @pytest.mark.parametrize("layer", ["se,reduction=16", "se,reduction=8"])
    def test_written_options_win_at_their_defaults_too(self, layer):
        built = attnbench.timm_layer(layer)(64, rd_ratio=0.5)
        assert built.squeeze.out_channels == 64 // int(layer.rpartition("=")[2])

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"stride": 2}, "got stride=2"),
            ({"out_channels": 32}, "64-channel maps: got out_channels=32"),
            ({"dilation": 2}, "got dilation=2"),
            ({"block_size": 8}, "se has no option 'block_size': got block_size=8"),
            ({"rd_rato": 0.5}, "Did you mean 'rd_ratio'"),
            ({"rd_ratio": 2.0}, "rd_ratio=2.0"),
            ({"rd_channels": 128}, "rd_channels=128"),
            ({"bias": "often"}, "option bias should be a valid boolean"),
        ],
    )
    def test_what_is_refused(self, given, reason):
        with pytest.raises(RequestError, match=reason):
            attnbench.timm_layer("se")(64, **given)

    def test_two_values_of_one_option(self):
        with pytest.raises(RequestError, match="given twice: got groups=8"):
            attnbench.timm_layer("ulsam", groups=4)(64, groups=8)

    def test_device_and_dtype(self):
        layer = attnbench.timm_layer("cbam")
        assert {p.dtype for p in layer(32, dtype=torch.float64).parameters()} == {torch.float64}
        assert {p.device.type for p in layer(32, device="meta").parameters()} == {"meta"}
        model = timm.create_model(
            "resnet14t", block_args={"attn_layer": layer}, dtype=torch.bfloat16, **SMALL
        )
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}

    def test_feature_size(self):
        layer = attnbench.timm_layer("timm:bottleneck")
        assert layer(32, feat_size=(7, 9)).pos_embed.width == 9
        assert layer(32, feat_size=7).pos_embed.height == 7
        with pytest.raises(RequestError, match="the feature size must be given"):
            layer(32)

    def test_timms_own_layers_keep_their_ratio(self):
        layer = attnbench.timm_layer("timm:se")
        assert layer(64, rd_ratio=0.5, act_layer=nn.SiLU).fc1.out_channels == 32
        by_hand = attnbench.timm_layer("timm:se", rd_ratio=0.25)
        assert by_hand(64, rd_ratio=0.5).fc1.out_channels == 16

    def test_classes_functions_and_attentions(self):
        class Mine(nn.Identity):
            def __init__(self, channels, *, groups: int = 1):
                super().__init__()
                self.made = channels, groups

        assert attnbench.timm_layer(Mine, groups=2)(16).made == (16, 2)
        assert attnbench.timm_layer(lambda channels: Mine(channels))(8).made == (8, 1)
        found = find_attention("se,reduction=4")
        assert attnbench.timm_layer(found)(64).squeeze.out_channels == 16

    def test_mistakes_at_once(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'ulsam'"):
            attnbench.timm_layer("ulsma")
        with pytest.raises(RequestError, match="ulsam has no option 'group'"):
            attnbench.timm_layer("ulsam", group=4)

    def test_shows_what_it_is(self):
        layer = attnbench.timm_layer("ulsam", groups=8)
        assert repr(layer) == "attnbench.timm_layer('ulsam,groups=8')"
        assert isinstance(layer, TimmLayer)
        assert layer.__name__ == "ulsam,groups=8"

    def test_survives_copies(self):
        layer = copy.deepcopy(attnbench.timm_layer("se", reduction=4))
        assert layer(64).squeeze.out_channels == 16
        module = pickle.loads(pickle.dumps(layer(64)))
        assert module.squeeze.out_channels == 16

    def test_starts_as_the_identity(self):
        module = attnbench.timm_layer("se", blend=True)(16).eval()
        x = torch.randn(1, 16, 4, 4)
        torch.testing.assert_close(module(x), x)

    def test_needs_no_timm(self, monkeypatch):
        for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
            monkeypatch.setitem(sys.modules, name, None)
        assert attnbench.timm_layer("se")(32).squeeze.in_channels == 32
