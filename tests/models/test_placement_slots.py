import pytest
import torch
from torch import nn

import attnbench
from attnbench import Card, Constraint
from attnbench.errors import PlacementError
from attnbench.models.backbones import create_backbone
from attnbench.models.placement_slots import check_slots, find_placement, find_slots
from attnbench.models.sites import SiteSurvey
from attnbench.registry.attention import find_attention, from_callable
from attnbench.registry.placement_grammar import parse_placement

IMAGE = (1, 3, 224, 224)
V1_REPLACEABLE = [4, 6, 8, 9, 10, 11, 12, 14]
V2_REPLACEABLE = [4, 6, 7, 9, 10, 11, 13, 14, 16, 17]


@pytest.fixture(scope="module")
def survey():
    surveys = {}

    def get(name):
        if name not in surveys:
            with torch.device("meta"):
                surveys[name] = SiteSurvey(create_backbone(name), IMAGE)
        return surveys[name]

    return get


@pytest.fixture
def slots(survey):
    return lambda text, name="mobilenet_v2": find_slots(parse_placement(text), survey(name))


class Kept(nn.Identity):
    """A subclass is as much of a placeholder."""


def placeholders():
    def block(inner):
        return nn.Sequential(nn.Conv2d(3, 3, 1), inner)

    inner = (nn.Identity(), Kept(), nn.Conv2d(3, 3, 1), nn.Sequential())
    model = nn.Sequential(*map(block, inner))
    return SiteSurvey(model, (1, 3, 8, 8))


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("after:*.1", ["2.1"]),
        ("replace:**.1", ["2.1"]),
        ("after:0.1,2.1", ["0.1", "2.1"]),
        ("replace:1.1", ["1.1"]),
        ("after:1.1,*.1", ["1.1", "2.1"]),
    ],
)
def test_wildcards_leave_out_identities(text, paths):
    assert [slot.path for slot in find_slots(parse_placement(text), placeholders())] == paths


def test_a_wildcard_of_identities_alone_is_refused():
    with pytest.raises(PlacementError, match=r"wildcards leave out.* wildcard: after:1\.1$"):
        find_slots(parse_placement("after:1.*1"), placeholders())


def test_the_places_of_squeeze_and_excitation_in_timms_mobilenet_v3():
    with torch.device("meta"):
        model = create_backbone("timm:mobilenetv3_large_100")
    found = find_slots(parse_placement("replace:blocks.**.se"), SiteSurvey(model, IMAGE))
    assert [slot.path for slot in found] == [
        f"blocks.{stage}.{block}.se"
        for stage, block in [(2, 0), (2, 1), (2, 2), (4, 0), (4, 1), (5, 0), (5, 1), (5, 2)]
    ]


def layers(found):
    return [slot.layer for slot in found]


def paths(found):
    return [slot.path for slot in found]


class TestMobileNets:
    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("mobilenet_v1", "after:all", [*range(2, 15)]),
            ("mobilenet_v2", "after:all", [*range(2, 19)]),
            ("mobilenet_v3_small", "after:all", [*range(2, 13)]),
            ("timm:mobilenetv1_100", "after:all", [*range(2, 15)]),
            ("timm:mobilenetv2_100", "after:all", [*range(2, 19)]),
            ("mobilenet_v1", "after-depthwise:all", [*range(2, 15)]),
            ("mobilenet_v2", "after-project:all", [*range(2, 19)]),
            ("mobilenet_v1", "replace:all", V1_REPLACEABLE),
            ("mobilenet_v2", "replace:all", V2_REPLACEABLE),
            ("timm:mobilenetv1_100", "replace:all", V1_REPLACEABLE),
            ("timm:mobilenetv2_100", "replace:all", V2_REPLACEABLE),
            ("mobilenet_v3_small", "replace-se:all", [2, *range(5, 13)]),
            ("mobilenet_v3_large", "replace-se:all", [5, 6, 7, 12, 13, 14, 15, 16]),
            ("mobilenet_v2", "replace:14,17", [14, 17]),
            ("mobilenet_v2", "after:1,19", [1, 19]),
            ("mobilenet_v2", "after:12-14,3", [3, 12, 13, 14]),
            ("mobilenet_v2", "replace:17+after:3", [3, 17]),
        ],
    )
    def test_layers(self, slots, name, text, expected):
        found = slots(text, name)
        assert layers(found) == expected
        assert all(slot.replaced == text.startswith("replace") for slot in found) or "+" in text

    def test_shapes_and_text(self, slots):
        block, inner = slots("after:15"), slots("after-depthwise:15")
        assert str(block[0]) == "layer 15 (features.14, 160x7x7)"
        assert str(inner[0]) == "layer 15 (features.14.conv.1, 576x7x7)"
        assert str(slots("after:features.14.conv.0")[0]) == "features.14.conv.0 (576x14x14)"

    def test_replaced_slots_have_the_shape_of_the_input(self, slots):
        (slot,) = slots("replace-se:5", "mobilenet_v3_small")
        assert (slot.channels, slot.size, slot.replaced) == (96, (14, 14), True)

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            (
                "mobilenet_v2",
                "replace:15",
                "placement 'replace:15': layer 15 turns 96x14x14 into 160x7x7, and a module keeps "
                "the shape; replace has possible layers: 4, 6, 7, 9, 10, 11, 13, 14, 16, 17",
            ),
            ("mobilenet_v2", "replace:1", "layer 1 turns 3x224x224 into 32x112x112"),
            ("mobilenet_v2", "replace:19", "layer 19 turns 320x7x7 into 1280x7x7"),
            ("timm:mobilenetv2_100", "replace:1", "layer 1 is no block; replace has possible"),
            ("timm:mobilenetv2_100", "replace:19", "layer 19 is no block"),
            ("mobilenet_v2", "replace:13-15", "layer 15 turns 96x14x14 into 160x7x7"),
            (
                "mobilenet_v2",
                "after:20",
                "there is no layer 20; after has possible layers: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, "
                "11, 12, 13, 14, 15, 16, 17, 18, 19",
            ),
            ("mobilenet_v1", "after:0", "there is no layer 0; after has possible layers: 1, 2,"),
            ("mobilenet_v1", "replace:15", "there is no layer 15; replace has possible layers: 4,"),
            (
                "mobilenet_v2",
                "after-depthwise:1",
                "layer 1 has no depthwise convolution; after-depthwise has possible layers: 2, 3,",
            ),
            ("mobilenet_v2", "after-depthwise:19", "layer 19 has no depthwise convolution"),
            ("mobilenet_v1", "after-project:1", "layer 1 has no pointwise convolution"),
            (
                "mobilenet_v2",
                "replace-se:5",
                "layer 5 has no squeeze-and-excitation; no layer allows",
            ),
            (
                "mobilenet_v3_small",
                "replace-se:3",
                "layer 3 has no squeeze-and-excitation; replace-se has possible layers: 2, 5, 6,",
            ),
            (
                "mobilenet_v2",
                "replace-se:all",
                "placement 'replace-se:all': no block allows replace-se",
            ),
            ("mobilenet_v2", "after:14+after:features.13", "uses layer 14 (features.13, 96x14x14)"),
            ("mobilenet_v2", "replace:14+after:14", "twice"),
            ("mobilenet_v2", "after:all+after:3", "uses layer 3 (features.2, 24x56x56) twice"),
            (
                "mobilenet_v2",
                "replace:14+after-depthwise:14",
                "replaces layer 14 (features.13, 96x14x14) and also puts a module inside it",
            ),
            ("mobilenet_v2", "replace:all+after-project:all", "also puts a module inside it"),
            ("mobilenet_v2", "replace:**", "and also puts a module inside it"),
            (
                "mobilenet_v2",
                "after:blocks.*",
                "no module path matches 'blocks.*'; possible: after:features.0, after:features.1, "
                "after:features.2 and 16 more",
            ),
            (
                "mobilenet_v2",
                "after:classifier.1",
                "classifier.1 cannot be used: takes a tensor of 2",
            ),
            ("mobilenet_v2", "replace:features.14", "layer 15 turns 96x14x14 into 160x7x7"),
            (
                "mobilenet_v2",
                "replace-se:features.*",
                "has no squeeze-and-excitation; possible: no",
            ),
        ],
    )
    def test_impossible(self, slots, name, text, message):
        with pytest.raises(PlacementError) as caught:
            slots(text, name)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 250


class TestGlobs:
    def test_star_stays_within_one_dot(self, slots):
        assert paths(slots("after:layer1.*", "resnet18")) == ["layer1.0", "layer1.1"]
        assert paths(slots("after:layer*", "resnet18")) == ["layer1", "layer2", "layer3", "layer4"]
        assert paths(slots("after:*.0", "resnet18")) == [f"layer{n}.0" for n in (1, 2, 3, 4)]

    def test_two_stars_cross(self, slots):
        assert paths(slots("after:layer1.**", "resnet18")) == [
            "layer1.0", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "layer1.0.bn2",
            "layer1.1", "layer1.1.conv1", "layer1.1.bn1", "layer1.1.conv2", "layer1.1.bn2",
        ]  # fmt: skip
        assert len(slots("after:**.bn2", "resnet18")) == 8

    def test_globs_take_what_is_possible_and_names_must_be(self, slots):
        assert paths(slots("replace:layer2.*", "resnet18")) == ["layer2.1"]
        with pytest.raises(PlacementError, match=r"layer2\.0 turns 64x56x56 into 128x28x28"):
            slots("replace:layer2.0", "resnet18")
        with pytest.raises(PlacementError, match=r"layer2\.0 turns .*; possible: replace:"):
            slots("replace:layer2.1,layer2.0", "resnet18")

    def test_numbers_and_paths_mean_the_same(self, slots):
        assert slots("after:14,17") == slots("after:features.13,features.16")
        assert slots("after-depthwise:14") == slots("after-depthwise:features.13")
        assert layers(slots("after:features.*")) == [*range(1, 20)]

    def test_block_and_its_parts_lead_to_one_place(self, slots):
        assert slots("after-depthwise:**") == slots("after-depthwise:all")
        assert slots("after-project:features.13.**,features.13") == slots("after-project:14")

    def test_order_is_the_networks(self, slots):
        found = slots("after:features.9,features.2+after-depthwise:features.5")
        assert paths(found) == ["features.2", "features.5.conv.1", "features.9"]

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            (
                "resnet18",
                "after:layer9.*",
                "no module path matches 'layer9.*'; possible: after:conv1",
            ),
            (
                "resnet18",
                "after:layer1.0.relu",
                "called 2 times in one forward pass; possible: after",
            ),
            ("resnet18", "replace:fc", "takes a tensor of 2 axes"),
            ("resnet18", "replace-se:layer1.0", "layer1.0 has no squeeze-and-excitation"),
            ("resnet18", "after-depthwise:layer1.*", "has no depthwise convolution"),
            ("swin_t", "after:features.1.*", "takes (B, H, W, C)"),
            (
                "resnet18",
                "replace:14,17",
                "layer numbers need a MobileNet whose class is known. Name modules by path instead"
                ": replace:bn1, replace:relu, replace:layer1 and 37 more",
            ),
            ("resnet18", "after:all", "layer numbers need a MobileNet whose class is known"),
        ],
    )
    def test_impossible(self, slots, name, text, message):
        with pytest.raises(PlacementError) as caught:
            slots(text, name)
        assert message in str(caught.value)
        assert len(str(caught.value)) < 250

    def test_inside_unknown_blocks(self, slots):
        found = slots("replace-se:features.*.*", "efficientnet_b0")
        assert len(found) == 16
        assert all(slot.path.endswith((".block.1", ".block.2")) for slot in found)


class TestOfficial:
    BACKBONES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
                 "timm:mobilenetv2_100")  # fmt: skip

    @pytest.mark.parametrize("module", attnbench.list_modules())
    def test_cards_name_places_that_exist(self, survey, module):
        attention = find_attention(module)
        for name in self.BACKBONES:
            if not {survey(name).family, "*"} & set(attention.card.official):
                with pytest.raises(PlacementError, match=f"{module} declares none for mobilenet_v"):
                    find_placement("official", attention, survey(name))
                continue
            found = find_slots(find_placement(" official ", attention, survey(name)), survey(name))
            check_slots(attention, found)
            assert found, name

    def test_the_family_wins_over_the_rest(self, survey):
        def factory(channels):
            return nn.Identity()

        factory.card = Card(
            title="T", family="spatial", official={"mobilenet_v2": "after:3", "*": "after:4"}
        )
        attention = from_callable(factory, {})
        assert str(find_placement("official", attention, survey("mobilenet_v2"))) == "after:3"
        assert str(find_placement("official", attention, survey("mobilenet_v1"))) == "after:4"
        assert str(find_placement("after:9", attention, survey("mobilenet_v1"))) == "after:9"

    def test_without_a_card(self, survey):
        for attention in (from_callable(nn.Identity, {}), None):
            with pytest.raises(PlacementError, match=r"declares none for mobilenet_v2\. Write"):
                find_placement("official", attention, survey("mobilenet_v2"))


def test_constraints_name_the_slot(survey):
    found = find_slots(parse_placement("replace:14,17"), survey("mobilenet_v2"))
    with pytest.raises(PlacementError) as caught:
        check_slots(find_attention("ulsam,groups=36"), found)
    assert "layer 14 (features.13, 96x14x14): ulsam,groups=36 cannot work on 96 channels" in str(
        caught.value
    )


def test_constraints_of_every_slot_are_looked_at(survey):
    seen = []
    card = Card(
        title="T",
        family="spatial",
        constraints=(Constraint("c", lambda c, feature_size: not seen.append((c, feature_size))),),
    )

    def factory(channels):
        raise AssertionError("nothing is built")

    factory.card = card
    found = find_slots(parse_placement("replace:14,17"), survey("mobilenet_v2"))
    check_slots(from_callable(factory, {}), found)
    assert seen == [(96, (14, 14)), (160, (7, 7))]
