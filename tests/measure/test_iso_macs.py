"""Plain backbones beside each arm, counted."""

import pytest

from attnbench.errors import RequestError
from attnbench.measure.cost import CostMeter
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.registry.plugins import catalog
from attnbench.registry.specs import parse_spec
from attnbench.suites.plan import make_case

SIZE = 64


@pytest.fixture(scope="module")
def meter():
    return CostMeter(catalog())


def case(backbone, module=None, placement=None):
    return make_case(catalog(), backbone=backbone, module=module, placement=placement, size=SIZE)


def macs(meter, backbone, *placed):
    return meter.measure(case(backbone, *placed))["values"]["macs"]


def width(spec):
    return parse_spec(spec, "backbone").options.get("width", 1.0)


ARMS = [
    ("mobilenet_v3_small,width=0.5", "cbam", "after:8-11"),
    ("mobilenet_v1,width=0.5", "se", "after:all"),
    ("mobilenet_v2", "ulsam", "replace:14,17"),
]


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: "/".join(arm))
def test_one_below_and_one_above_and_none_between(meter, arm):
    backbone, own = arm[0], macs(meter, *arm)
    plain = macs(meter, backbone)
    assert own != plain
    found = IsoMacBaselines(meter)([case(*arm)])
    widths = [width(spec) for spec in found]
    assert widths == sorted(widths)
    # the plain backbone is in the table already
    values = sorted([plain, *(macs(meter, spec) for spec in found)])
    low = max(value for value in values if value <= own)
    high = min(value for value in values if value >= own)
    assert low < own < high
    name = parse_spec(backbone, "backbone")
    steps = range(max(1, round(100 * min(widths)) - 6), round(100 * max(widths)) + 6)
    between = [macs(meter, str(name.with_options(width=step / 100))) for step in steps]
    assert {value for value in between if low <= value <= high} == {low, high}
    # each is named by the smallest width that gives it
    for spec in found:
        narrower = name.with_options(width=width(spec) - 0.01)
        assert macs(meter, str(narrower)) < macs(meter, spec)


def test_arms_that_cost_less_get_narrower_ones(meter):
    (arm,) = [("mobilenet_v2", "ulsam", "replace:9-11,14,17")]
    assert macs(meter, *arm) < macs(meter, arm[0])
    found = IsoMacBaselines(meter)([case(*arm)])
    assert len(found) == 2
    assert all(width(spec) < 1 for spec in found)


def test_the_backbone_itself_is_left_out(meter):
    # one arm just above the plain backbone: below it stands the plain one
    (spec,) = IsoMacBaselines(meter)([case("mobilenet_v2", "cbam", "after:17")])
    assert width(spec) > 1
    # and an arm that costs what it costs needs none
    assert IsoMacBaselines(meter)([case("mobilenet_v2", "identity", "after:17")]) == []


def test_arms_share_what_they_can(meter):
    arms = [case("mobilenet_v2", "cbam", "after:17"), case("mobilenet_v2", "se", "after:17")]
    together = IsoMacBaselines(meter)(arms)
    assert together == IsoMacBaselines(meter)([*arms, *arms])
    assert together == list(
        dict.fromkeys(spec for arm in arms for spec in IsoMacBaselines(meter)([arm]))
    )
    assert IsoMacBaselines(meter)([]) == []


def test_other_options_stay(meter):
    arm = case("mobilenet_v2,num_classes=10", "cbam", "after:17")
    (spec,) = IsoMacBaselines(meter)([arm])
    assert parse_spec(spec, "backbone").options["num_classes"] == 10


def test_a_backbone_without_width(meter):
    with pytest.raises(RequestError, match="resnet18"):
        IsoMacBaselines(meter)([case("resnet18", "se", "after:layer3.*")])
