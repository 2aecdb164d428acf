"""The suites of other papers' MobileNetV2 tables: what their reasons and notes say is so.

The rules of thop and ptflops are written out again here, on torchvision's own network.
"""

from __future__ import annotations

import re
from fractions import Fraction
from importlib import resources

import attnbench_suites
import pytest
import torch
import torchvision
from attnbench_modules import MODULES
from attnbench_suites import SUITES
from torch import nn

from attnbench.measure.cost import CostMeter
from attnbench.registry.plugins import Catalog
from attnbench.suites.load import read_suite
from attnbench.suites.plan import make_case
from attnbench.training.recipe import find_recipe

PAPERS = ("eca", "coordinate", "simam", "triplet")
# channels and side of the output of each block, layers 2 to 18
BLOCKS = (
    [(16, 112)]
    + [(24, 56)] * 2
    + [(32, 28)] * 3
    + [(64, 14)] * 4
    + [(96, 14)] * 3
    + [(160, 7)] * 3
    + [(320, 7)]
)
MACS = 300_774_272
CLASSIFIER = 1280 * 1000


def suite_of(name):
    target = SUITES[name]["target"].partition(":")[2]
    with resources.as_file(resources.files(attnbench_suites) / target) as path:
        return read_suite(path)


@pytest.fixture(scope="module")
def elements():
    """Output elements of the plain network by kind of layer."""
    found: dict[type, int] = {}

    def add(layer, _inputs, output):
        found[type(layer)] = found.get(type(layer), 0) + output.numel()

    with torch.device("meta"):
        model = torchvision.models.mobilenet_v2().eval()
        for layer in model.modules():
            layer.register_forward_hook(add)
        model(torch.empty(1, 3, 224, 224))
    return found


@pytest.fixture(scope="module")
def count():
    """Return values of a module in MobileNetV2, by our rules."""
    catalog = Catalog()
    catalog.add_table(MODULES, "attnbench")
    meter = CostMeter(catalog)

    def values(module, placement):
        case = make_case(catalog, backbone="mobilenet_v2", module=module, placement=placement)
        return meter.measure(case)["values"]

    return values


def printed(name, metric):
    """The printed figures of a suite's first table, by label, as numbers."""
    return {
        row.label: Fraction(re.sub(r"[kMG]$", "", row.printed[metric]))
        for row in suite_of(name).table[0].row
        if metric in row.printed
    }


def rounded(value, unit, decimals):
    return round(Fraction(value) / unit, decimals)


def test_eca_s_flops_are_those_of_an_old_thop_over_1024_squared(elements):
    suite = suite_of("eca-mobilenet-v2")
    norms, acts, additions = (
        4 * elements[nn.BatchNorm2d],
        elements[nn.ReLU6],
        CLASSIFIER - 1000,
    )
    plain = MACS + norms + acts + additions
    averages = sum(c * (side * side + 1) for c, side in BLOCKS)
    filters = sum(c * (1 if c < 96 else 3) for c, _ in BLOCKS)
    eca = plain + averages + filters
    flops = printed("eca-mobilenet-v2", "macs")
    assert rounded(plain, 1024**2, 1) == flops["MobileNet_v2"]
    assert rounded(eca, 1024**2, 1) == flops["ECA-MobileNet_v2"]
    for number in (norms, acts, additions, plain):
        assert f"{number:,}" in suite.reasons["plain_flops"]
    for number in (averages, filters, eca):
        assert f"{number:,}" in suite.reasons["eca_flops"]
    assert f"{float(plain / 1024**2):.3f}M" in suite.reasons["plain_flops"]
    assert f"{float(eca / 1024**2):.3f}M" in suite.reasons["eca_flops"]
    # the same in millions is not what is printed, nor is our count in either unit
    for other in (rounded(plain, 10**6, 1), rounded(MACS, 1024**2, 1), rounded(MACS, 10**6, 1)):
        assert other not in flops.values()


def test_eca_s_adaptive_k_has_28_parameters_more(count):
    authors = sum(1 if c < 96 else 3 for c, _ in BLOCKS)
    assert count("eca", "after-project:all")["delta_params"] - authors == 28
    assert "28 parameters more" in " ".join(suite_of("eca-mobilenet-v2").suite.notes)


def test_only_r_24_behind_the_depthwise_convolutions_gives_3_89m(count):
    sizes = {
        r: count(f"se,reduction={r}", "after-depthwise:3-18")["params"] for r in (16, 20, 24, 32)
    }
    assert [r for r, size in sizes.items() if rounded(size, 10**6, 2) == Fraction("3.89")] == [24]
    cbam = count("cbam,reduction=24", "after-depthwise:3-18")["params"]
    assert rounded(cbam, 10**6, 2) == Fraction("3.89")
    note = " ".join(suite_of("coordinate-mobilenet-v2").suite.notes)
    behind = count("se", "after-project:all")["params"]
    for size in (sizes[16], sizes[20], sizes[32], behind):
        assert f"{size / 1e6:.2f}M" in note


def test_coordinate_attention_s_m_adds_are_printed_to_tens(count):
    flops = printed("coordinate-mobilenet-v2", "macs")
    for label, module in (
        ("MobileNetV2 + SE", "se,reduction=24"),
        ("MobileNetV2 + CBAM", "cbam,reduction=24"),
        ("MobileNetV2 + CA", "coordinate"),
    ):
        macs = count(module, "after-depthwise:3-18")["macs"]
        assert rounded(macs, 10**6, -1) == flops[label]
        assert f"{macs / 1e6:.1f}M" in suite_of("coordinate-mobilenet-v2").reasons["tens"]


def test_simam_s_flops_are_thop_s(elements):
    norms = 2 * elements[nn.BatchNorm2d]
    assert rounded(MACS + norms, 10**9, 2) == printed("simam-mobilenet-v2", "macs")["SimAM-MV2"]
    assert rounded(MACS, 10**9, 2) != Fraction("0.31")
    assert f"{norms:,} = {MACS + norms:,}" in suite_of("simam-mobilenet-v2").reasons["thop"]


@pytest.mark.parametrize("k", [3, 7])
def test_triplet_attention_s_flops_are_ptflops(elements, count, k):
    def says(spatial):
        option = "" if spatial else ",spatial=false"
        macs = count(f"triplet,kernel_size={k}{option}", "after-project:all")["macs"]
        planes = sum(2 * c * side + (side * side if spatial else 0) for c, side in BLOCKS)
        norms = 2 * (elements[nn.BatchNorm2d] + planes)
        return macs + norms + elements[nn.ReLU6] + 1000

    label = f"MobileNet v2 + Triplet Attention (k = {k})"
    figure = printed("triplet-mobilenet-v2", "macs")[label]
    suite = suite_of("triplet-mobilenet-v2")
    assert rounded(says(spatial=True), 10**9, 3) == figure
    assert f"{says(spatial=True):,}" in suite.reasons[f"ptflops_{k}"]
    # two gates: the same parameters as printed, other FLOPs
    assert rounded(says(spatial=False), 10**9, 3) != figure
    assert f"{says(spatial=False) / 1e6:.2f}M" in " ".join(suite.suite.notes)
    two = count(f"triplet,kernel_size={k},spatial=false", "after-project:all")["params"]
    size = suite.table[0].row[1 if k == 3 else 2].printed["params"]
    assert rounded(two, 10**6, 3 if k == 3 else 2) == Fraction(size.removesuffix("M"))


def baselines():
    plain, attention = suite_of("mobilenet-v2-baselines").table
    return [Fraction(row.printed["top1"]) for row in plain.row], plain, attention


def test_torchvision_s_baselines_are_those_of_its_weights():
    _, plain, _ = baselines()
    rows = {row.label: row for row in plain.row}
    for version, weights in zip("12", torchvision.models.MobileNet_V2_Weights, strict=True):
        stated = weights.meta["_metrics"]["ImageNet-1K"]
        row = rows[f"torchvision, V{version}"]
        assert (row.printed["top1"], row.printed["top5"]) == (
            str(stated["acc@1"]),
            str(stated["acc@5"]),
        )


def test_the_baseline_that_a_recipe_states_is_the_one_of_the_table():
    _, plain, _ = baselines()
    (row,) = [one for one in plain.row if one.label == "d-li14"]
    (stated,) = find_recipe("imagenet-mobilenetv2").baseline
    assert "d-li14" in stated.source
    assert f"{float(row.printed['top1']):.2f}" == f"{stated.top1:.2f}"


@pytest.mark.parametrize("name", [f"{paper}-mobilenet-v2" for paper in PAPERS])
def test_each_paper_s_suite_says_how_far_the_baselines_are_apart(name):
    found, _, _ = baselines()
    low, high = min(found), max(found)
    said = " ".join(suite_of(name).table[0].notes)
    assert f"{float(low)} to {float(high)}, {float(high - low)} points apart" in said
    assert (
        len(found) == 7 and "in seven figures of six sources: suite mobilenet-v2-baselines" in said
    )
    tops = printed(name, "top1")
    plain = next(iter(suite_of(name).table[0].row)).label
    if plain in tops:
        gains = [float(top - tops[plain]) for label, top in tops.items() if label != plain]
        assert all(re.search(rf"\b{re.escape(str(gain))}\b", said) for gain in gains)
    else:
        assert "no plain network beside it, so no gain" in said
        assert all(low < top < high and f"{float(top)}" in said for top in tops.values())


def test_what_the_baselines_suite_says_of_its_rows():
    found, plain, attention = baselines()
    low, high = min(found), max(found)
    assert f"{float(low)} to {float(high)}, {float(high - low)} points" in plain.notes[0]
    tops = [Fraction(row.printed["top1"]) for row in attention.row]
    assert len(tops) == 8
    assert [low <= one <= high for one in tops] == [True] * 5 + [False] * 3
    assert min(tops[5:]) > high
    for top, base in zip((tops[0], tops[3], *tops[5:]), (0, 1, 5, 5, 5), strict=True):
        assert f" {float(top - found[base])}" in attention.notes[0]


def test_the_attention_rows_are_those_of_the_papers_suites():
    _, _, attention = baselines()
    for row in attention.row:
        (name,) = re.findall(r"Suite ([a-z0-9-]+)\.", row.note)
        theirs = [
            (other.module, other.placement, other.printed.get("top1"))
            for layout in suite_of(name).table
            for other in layout.row
        ]
        if name == "ulsam-imagenet":  # g = 4 is the third of its column groups
            theirs = [(f"{one},groups=4", place, top[2]) for one, place, top in theirs if place]
        assert (row.module, row.placement, row.printed["top1"]) in theirs
