"""Cost cases: the printed table's rows to the last unit, and additive counting equal to tracing."""

from functools import cache
from itertools import product

import pytest
import torch

from attnbench.counting.cost import cost
from attnbench.counting.trace import trace
from attnbench.errors import PlacementError, PluginError, RequestError
from attnbench.measure.cost import BackboneCost, CostMeter
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.models.insertion import insert
from attnbench.registry.plugins import Catalog, catalog
from attnbench.registry.registry import Entry
from attnbench.suites.load import find_suite
from attnbench.suites.plan import all_cases, make_case, plan

# facts: widths and positions of the ULSAM tables, counted by hooks on timm's networks with the
# authors' class in them; MACs to 0.001M
MEASURED = [
    ("mobilenet_v1", "after:11", 4_234_548, 568.941),
    ("mobilenet_v1", "after:12", 4_234_548, 568.941),
    ("mobilenet_v1", "after:13", 4_237_108, 568.841),
    ("mobilenet_v1", "after:14", 4_237_108, 568.841),
    ("mobilenet_v2", "after:17", 3_505_684, 300.790),
    ("mobilenet_v1", "replace:11", 3_965_748, 516.658),
    ("mobilenet_v1,width=0.75", "replace:11", 2_435_044, 295.972),
    ("mobilenet_v1,width=0.5", "replace:11", 1_264_020, 136.301),
    ("mobilenet_v2", "replace:14", 3_387_092, 278.120),
    ("mobilenet_v2", "replace:17", 3_185_684, 285.314),
    ("mobilenet_v2", "replace:11,14", 3_333_152, 267.834),
    ("mobilenet_v2", "replace:16,17", 2_866_496, 269.853),
    ("mobilenet_v2", "replace:14,17", 3_067_904, 262.659),
    ("mobilenet_v2", "replace:13,14,16,17", 2_630_936, 224.544),
]
PLAIN = [
    ("mobilenet_v1", 4_231_976, 4_210_088, 568.740),
    ("mobilenet_v1,width=0.75", 2_585_560, 2_569_144, 325.400),
    ("mobilenet_v1,width=0.5", 1_331_592, 1_320_648, 149.497),
    ("mobilenet_v2", 3_504_872, 3_470_760, 300.774),
]
SHIPPED = catalog().suites.names()


@cache
def meter():
    return CostMeter(catalog())


def measured(**given):
    return meter().measure(make_case(catalog(), **{"placement": None, "backbone": None, **given}))


@pytest.mark.parametrize(("backbone", "placement", "params", "mega_macs"), MEASURED)
def test_rows_of_the_ulsam_tables(backbone, placement, params, mega_macs):
    values = measured(backbone=backbone, module="ulsam,groups=4", placement=placement)["values"]
    assert values["params"] == params
    assert round(values["macs"] / 1e6, 3) == mega_macs


@pytest.mark.parametrize(("backbone", "params", "no_norm", "mega_macs"), PLAIN)
def test_plain_backbones(backbone, params, no_norm, mega_macs):
    values = measured(backbone=backbone, module=None)["values"]
    assert (values["params"], values["params_no_norm"]) == (params, no_norm)
    assert round(values["macs"] / 1e6, 3) == mega_macs
    assert (values["delta_params"], values["delta_bytes"]) == (0, 0)


@pytest.mark.parametrize("siblings", [("replace:13", "replace:14"), ("replace:16", "replace:17"),
                                      ("replace:9", "replace:10"), ("replace:10", "replace:11"),
                                      ("after:15", "after:16"), ("after:16", "after:17")])  # fmt: skip
def test_siblings_count_the_same(siblings):
    one, other = (
        measured(backbone="mobilenet_v2", module="ulsam", placement=place)["values"]
        for place in siblings
    )
    assert one == other


def shipped_cases(name):
    tables = plan(
        find_suite(name, catalog()), catalog(), ["se,reduction=4"], IsoMacBaselines(meter())
    )
    cases = dict.fromkeys(case_without_counters(one) for one in all_cases(tables) if one.backbone)
    return list(cases)


@pytest.mark.parametrize("name", SHIPPED)
def test_adding_up_equals_tracing_the_whole(name):
    """Every row with a printed figure; of the suites that have all modules, every seventh row."""
    cases = shipped_cases(name)[:: 1 if name.startswith("ulsam") else 7]
    assert cases or not shipped_cases(name)
    for case in cases:
        check_that_adding_up_equals_tracing(case)


@cache  # suites share rows
def check_that_adding_up_equals_tracing(case):
    measured = meter().measure(case)
    values = measured["values"] | {"uncounted": measured["uncounted"]}
    model = meter().backbone_cost(case.backbone, case.size).model
    if case.module:
        model = insert(model, case.placement, case.module)
    whole = cost(model, (1, 3, *case.size)).to_dict()
    assert {key: values[key] for key in whole} == whole, case.name


class Unknown(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(channels))

    def forward(self, x):
        return torch.linalg.inv(self.weight)[0, :, None, None] * x


class Twice(torch.nn.Module):
    """A backbone with two parts of unknown MACs, the first of which keeps its shape."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Unknown(3), Unknown(3)

    def forward(self, x):
        return self.second(self.first(x))


def test_operators_of_unknown_macs_add_up():
    known = BackboneCost(Twice(), (8, 8))
    (one,) = trace(Unknown(3), (1, 3, 8, 8)).uncounted
    assert known.plain.uncounted == {one: 2}
    remaining = known.without(["first"])
    assert remaining.uncounted == (known.plain - remaining).uncounted == {one: 1}
    assert (remaining + remaining).uncounted == {one: 2}


def case_without_counters(case):
    return make_case(
        catalog(),
        backbone=case.backbone,
        module=case.module,
        placement=case.placement,
        size=case.size,
    )


SOMEWHERE = list(
    product(
        ["mobilenet_v1,width=0.25", "mobilenet_v3_small"],
        ["after:5,9", "after-depthwise:5-8", "after-project:all", "replace:9+after-depthwise:5"],
    )
)
NAMES = catalog().modules.names()


@pytest.mark.parametrize(
    ("module", "backbone", "placement"),
    # two of the eight for each module, each of the eight for many modules
    [(one, *SOMEWHERE[(i + skip) % 8]) for i, one in enumerate(NAMES) for skip in (0, 5)],
)
def test_adding_up_equals_tracing_for_every_module(module, backbone, placement):
    found = measured(backbone=backbone, module=module, placement=placement, size=96)
    values = found["values"] | {"uncounted": found["uncounted"]}
    model = insert(
        meter().backbone_cost(backbone, (96, 96)).model,
        placement,
        module,
        input_size=(1, 3, 96, 96),
    )
    whole = cost(model, (1, 3, 96, 96)).to_dict()
    assert {key: values[key] for key in whole} == whole


def test_replaced_se_is_taken_off():
    values = measured(
        backbone="mobilenet_v3_small", module="se,reduction=4", placement="replace-se:all"
    )
    assert values["values"]["delta_params"] != 0
    identity = measured(
        backbone="mobilenet_v3_small", module="identity", placement="replace-se:all"
    )
    assert identity["values"]["delta_params"] < 0


@pytest.mark.parametrize("module", catalog().modules.names())
def test_a_module_alone_has_formula_and_count(module):
    for channels, size in ((512, 14), (64, (7, 12)), (96, 1)):
        values = measured(module=module, channels=channels, size=size)["values"]
        assert values["formula_params"] == values["params"], (channels, size)
        assert values["formula_macs"] == values["macs"], (channels, size)


def test_printed_formulas_of_table_1():
    printed = {
        "non_local": (524_288, 102_760_448),
        "double_attention,reduction=8": (65_536, 12_845_056),
        "se": (32_768, 32_768),
        "bam": (83_968, 16_490_496),
        "cbam": (32_866, 51_976),
        "ulsam": (1_024, 200_704),
    }
    for module, expected in printed.items():
        values = measured(module=module, channels=512, size=14)["values"]
        assert (values["paper_params"], values["paper_macs"]) == expected, module


def test_delta_in_the_papers_convention():
    values = measured(backbone="mobilenet_v2", module="ulsam", placement="replace:14,17")["values"]
    assert values["paper_delta_params"] == -115_776 - 315_840 + 2 * 96 + 2 * 160
    assert round(300 + values["paper_delta_macs"] / 1e6, 3) == 261.885


def test_a_module_without_a_card_is_counted():
    own = Catalog()
    own.modules.add(Entry(name="scale", target=Scale, origin="here"))
    case = make_case(own, backbone="mobilenet_v2", module="scale", placement="after:5")
    found = CostMeter(own).measure(case)
    assert found["values"]["delta_params"] == 32
    assert found["values"]["paper_delta_params"] is None
    assert found["card"] is None


def test_counters_of_a_placed_network_agree():
    case = make_case(
        catalog(), backbone="mobilenet_v2,width=0.35", module="cbam", placement="after:5",
        size=64, counters=True,
    )  # fmt: skip
    found = meter().measure(case)
    assert set(found["counters"]) == {"rules", "fvcore", "ptflops", "torch"}
    assert all(report["macs"] == found["values"]["macs"] for report in found["counters"].values())


def test_what_cannot_be_is_refused_before_building():
    with pytest.raises(PlacementError, match="4, 6, 7"):
        meter().check(
            make_case(catalog(), backbone="mobilenet_v2", module="se", placement="replace:12")
        )
    with pytest.raises(RequestError, match="24 channels"):
        meter().check(
            make_case(
                catalog(), backbone="mobilenet_v2", module="ulsam,groups=16", placement="after:3"
            )
        )


def test_a_module_that_changes_the_shape_is_named():
    own = Catalog()
    own.modules.add(Entry(name="gate", target=Gate, origin="here"))
    with pytest.raises(PluginError, match=r"gate.*\(1, 8, 1, 1\)"):
        CostMeter(own).measure(
            make_case(own, backbone=None, module="gate", placement=None, channels=8, size=4)
        )


class Scale(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.weight


class Gate(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


def test_a_network_that_returns_a_dict_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dict_net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        return {'scores': x.mean((2, 3))}\n"
    )
    with pytest.raises(PluginError, match=r"dict_net\.py:Net must return one tensor.* a dict"):
        meter().backbone_cost("dict_net.py:Net", (8, 8))
