"""The shipped suites: every printed cell, every verdict, every exact count of the tables."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from importlib import resources
from itertools import product
from pathlib import Path

import attnbench_suites
import pytest
from attnbench_modules import MODULES
from attnbench_suites import SUITES

from attnbench.measure.cost import CostMeter
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import Catalog
from attnbench.registry.plugins import catalog as own_catalog
from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.render import render
from attnbench.runtimes.registry import runtimes
from attnbench.suites.load import read_suite
from attnbench.suites.plan import all_cases, plan

# The numbers of the original, row by row, as a PDF reader takes them from slides and poster, and
# from README files of the other papers' code.
PRINTED = {
    "ulsam-table1": [
        """
        524 102.76 512 512
        66 12.85 64 64
        33 0.03 33 0.16
        84 16.49 82 82.16
        33 0.05 33 0.26
        1 0.2 1 1
        """
    ],
    "ulsam-imagenet": [
        """
        4.2 569 70.65 89.76
        4.2 569.2 70.69 89.85 70.84 89.87 70.77 89.91 70.59 89.83 70.89 89.74
        4.2 569.2 70.62 89.86 70.88 89.88 70.61 89.79 70.92 89.98 70.73 89.78
        4.2 569.1 70.63 89.60 70.85 89.97 70.86 89.85 70.74 89.81 70.82 90.05
        3.4 300 71.25 90.19
        3.4 300.01 71.31 90.28 71.39 90.34 71.64 90.27 71.35 90.36 71.42 90.43
        """
    ],
    "ulsam-finegrained-mv1": [
        """
        4.2 569 81.31 95.24
        3.9 517 81.28 95.50
        3.9 517 81.30 95.37
        3.9 517 81.19 95.41
        3.9 517 81.62 95.33
        """,
        """
        4.2 569 62.88 86.05
        3.9 517 62.46 86.01
        3.9 517 63.52 85.80
        3.9 517 64.44 86.60
        3.9 517 63.47 84.90
        """,
        """
        4.2 569 62.20 89.66
        3.9 517 62.73 88.80
        3.9 517 63.06 89.58
        3.9 517 63.30 89.68
        3.9 517 62.75 89.35
        """,
    ],
    "ulsam-finegrained-mv2": [
        """
        3.4 300 81.51 95.24
        3.28 277.34 81.67 95.82 81.71 95.47 81.76 95.51 81.94 95.63
        3.08 284.54 82.05 95.56 82.02 95.48 81.74 95.40 81.54 95.14
        2.97 261.88 81.57 95.44 81.69 95.36 82.13 95.42 81.84 95.40
        2.54 224.16 82.38 95.76 82.31 95.80 82.59 95.82 82.91 95.77
        """,
        """
        3.4 300 62.94
        3.28 277.34 63.01 63.05 63.11 64.32
        3.08 284.54 63.98 64.44 65.03 63.47
        3.23 267.06 63.43 63.47 63.10 62.21
        2.77 269.08 64.19 64.57 64.61 65.03
        2.97 261.88 63.35 64.70 65.41 63.31
        2.54 224.16 64.11 64.15 63.22 63.98
        """,
    ],
    "ulsam-ablation": [
        """
        4.2 569 70.65 89.76
        3.9 517 69.92 89.25
        3.9 517 70.14 89.67
        3.9 517 70.43 89.92
        3.9 517 70.29 89.96
        3.9 517 70.04 89.98
        2.6 325 67.48 88.00
        2.4 296 67.98 88.06
        2.4 296 67.81 88.43
        1.3 149 63.22 84.63
        1.2 136 63.42 84.70
        1.2 136 63.25 84.81
        """,
        """
        3.4 300 71.25 90.19
        2.96 261.88 71.52 90.25
        2.77 269.07 70.74 89.15
        2.54 223.77 69.72 87.79
        """,
    ],
    "eca-mobilenet-v2": [
        """
        3.34 319.4 71.64 90.20
        3.34 319.9 72.56 90.81
        """
    ],
    "coordinate-mobilenet-v2": [
        """
        3.5 300 72.3
        3.89 300 73.5
        3.89 300 73.6
        3.95 310 74.3
        """
    ],
    "simam-mobilenet-v2": ["3.50 0.31 72.36 90.74"],
    "triplet-mobilenet-v2": [
        """
        3.506 0.322 72.62 90.77
        3.51 0.327 71.99 90.484
        """
    ],
    "mobilenet-v2-baselines": [
        """
        71.25 90.19
        71.64 90.20
        71.878 90.286
        72.154 90.822
        72.192 90.534
        72.3
        72.976 91.010
        """,
        """
        71.64
        71.99
        72.36
        72.56
        72.62
        73.5
        73.6
        74.3
        """,
    ],
}
# Parameters and MACs of the real networks with g = 4, and of the networks without the blocks.
EXACT = {
    "mobilenet_v1/plain": (4_231_976, 568_740_352),
    "mobilenet_v1/ulsam/after:11": (4_234_548, 568_941_056),
    "mobilenet_v1/ulsam/after:12": (4_234_548, 568_941_056),
    "mobilenet_v1/ulsam/after:13": (4_237_108, 568_840_704),
    "mobilenet_v1/ulsam/replace:11": (3_965_748, 516_657_664),
    "mobilenet_v1,width=0.75/ulsam/replace:11": (2_435_044, 295_972_224),
    "mobilenet_v1,width=0.5/ulsam/replace:11": (1_264_020, 136_300_800),
    "mobilenet_v1,num_classes=101/plain": (3_310_501, 567_819_776),
    "mobilenet_v1,num_classes=200/plain": (3_411_976, 567_921_152),
    "mobilenet_v1,num_classes=120/plain": (3_329_976, 567_839_232),
    "mobilenet_v2/plain": (3_504_872, 300_774_272),
    "mobilenet_v2/ulsam/after:17": (3_505_684, 300_789_952),
    "mobilenet_v2/ulsam/replace:14": (3_387_092, 278_119_808),
    "mobilenet_v2/ulsam/replace:17": (3_185_684, 285_313_792),
    "mobilenet_v2/ulsam/replace:11,14": (3_333_152, 267_833_728),
    "mobilenet_v2/ulsam/replace:16,17": (2_866_496, 269_853_312),
    "mobilenet_v2/ulsam/replace:14,17": (3_067_904, 262_659_328),
    "mobilenet_v2/ulsam/replace:13,14,16,17": (2_630_936, 224_544_384),
    "mobilenet_v2,num_classes=101/plain": (2_353_253, 299_623_552),
    "mobilenet_v2,num_classes=200/plain": (2_480_072, 299_750_272),
    "mobilenet_v2/eca/after-project:all": (3_504_931, 300_780_384),
    "mobilenet_v2/coordinate/after-depthwise:3-18": (3_950_648, 306_666_368),
    "mobilenet_v2/se,reduction=24/after-depthwise:3-18": (3_888_208, 301_150_208),
    "mobilenet_v2/cbam,reduction=24/after-depthwise:3-18": (3_889_808, 302_524_960),
    "mobilenet_v2/simam,e_lambda=0.1/after-depthwise:all": (3_504_872, 300_774_272),
    "mobilenet_v2/triplet,kernel_size=3/after-project:all": (3_505_892, 301_917_344),
    "mobilenet_v2/triplet/after-project:all": (3_509_972, 306_997_664),
    "mobilenet_v2/se/after-project:all": (3_534_885, 300_802_688),
    "mobilenet_v2/cbam/after-project:all": (3_536_585, 303_059_232),
    "mobilenet_v2/identity/replace:14": (3_386_600, 278_082_176),
    "mobilenet_v2/identity/replace:17": (3_184_872, 285_298_112),
    "alone/non_local/512x14x14": (526_592, 122_429_440),
    "alone/double_attention,reduction=8/512x14x14": (131_776, 27_295_744),
    "alone/se/512x14x14": (33_312, 32_768),
    "alone/bam/512x14x14": (68_513, 6_862_976),
    "alone/cbam/512x14x14": (33_412, 84_744),
    "alone/ulsam/512x14x14": (2_572, 200_704),
}
# What the source's own convention does not give.
EXPLAINED = {
    ("ulsam-table1", "SE-Net", "params_norm", "33x"),
    ("ulsam-table1", "CBAM", "params_norm", "33x"),
    ("eca-mobilenet-v2", "MobileNet_v2", "macs", "319.4M"),
    ("eca-mobilenet-v2", "ECA-MobileNet_v2", "macs", "319.9M"),
    ("coordinate-mobilenet-v2", "MobileNetV2 + SE", "macs", "300M"),
    ("coordinate-mobilenet-v2", "MobileNetV2 + CBAM", "macs", "300M"),
    ("coordinate-mobilenet-v2", "MobileNetV2 + CA", "macs", "310M"),
    ("simam-mobilenet-v2", "SimAM-MV2", "macs", "0.31G"),
    ("triplet-mobilenet-v2", "MobileNet v2 + Triplet Attention (k = 3)", "macs", "0.322G"),
    ("triplet-mobilenet-v2", "MobileNet v2 + Triplet Attention (k = 7)", "macs", "0.327G"),
}
# What nothing derives.
DIFFERS = {("ulsam-finegrained-mv2", "MV2 + ULSAM", "macs", "224.16M")}
# What comes out in one way only: the source rounds some of its figures and cuts others.
ROUNDED = {
    "ulsam-table1": "66k 12.85M 33k 84k 0.26x",
    "ulsam-imagenet": "569M",
    "ulsam-finegrained-mv1": "569M 517M",
    "ulsam-finegrained-mv2": "284.54M 2.97M 2.54M 267.06M 2.77M 269.08M",
    "ulsam-ablation": "569M 517M 2.6M 296M 136M 2.77M 2.54M",
    "coordinate-mobilenet-v2": "3.89M",
    "triplet-mobilenet-v2": "3.506M 3.51M",
}
CUT = {
    "ulsam-imagenet": "3.4M 300M 300.01M",
    "ulsam-finegrained-mv2": "3.4M 300M 277.34M 261.88M",
    "ulsam-ablation": "3.4M 300M 2.96M 261.88M 269.07M",
    "coordinate-mobilenet-v2": "300M",
}
# The plain network's own count is 3.47M; inserted modules start from the printed 3.4M.
EITHER = {("ulsam-imagenet", "MV2 + ULSAM", "params", "3.4M")}
METRICS = ("params", "macs", "params_norm", "macs_norm", "top1", "top5")


def suite_of(name):
    target = SUITES[name]["target"].partition(":")[2]
    with resources.as_file(resources.files(attnbench_suites) / target) as path:
        return read_suite(path)


@pytest.fixture(scope="module")
def catalog():
    found = Catalog()
    found.add_table(MODULES, "attnbench")
    return found


@pytest.fixture(scope="module")
def reports(catalog):
    """Reports of all suites, really counted (by our rules alone, which is quick)."""
    meter, found = CostMeter(catalog), {}
    for name in SUITES:
        suite = suite_of(name)
        tables = plan(suite, catalog, brackets=IsoMacBaselines(meter))
        records = {
            case.name: {
                "kind": "cost",
                "status": "ok",
                **meter.measure(replace(case, counters=False)),
            }
            for case in all_cases(tables)
            if case.kind == "cost"
        }
        found[name] = build_report(suite, tables, records, {"attnbench": "0"})
    return found


def printed_numbers(row, groups):
    """A row's printed numbers in the order of the original's columns."""
    figures = [row.printed[one] for one in METRICS[:4] if one in row.printed]
    accuracies = [row.printed[one] for one in METRICS[4:] if one in row.printed]
    if accuracies and isinstance(accuracies[0], list):
        accuracies = [one for pair in zip(*accuracies, strict=True) for one in pair]
    return [re.sub(r"[kMGx]$", "", figure) for figure in figures + accuracies]


@pytest.mark.parametrize("name", SUITES)
def test_name_title_and_table_of_names_agree(name):
    suite = suite_of(name)
    assert suite.suite.name == name
    assert SUITES[name]["target"].endswith(f":{name.replace('-', '_')}.toml")
    assert SUITES[name]["title"]


def test_every_suite_file_is_listed():
    files = {one.name for one in resources.files(attnbench_suites).iterdir()}
    targets = {one["target"].partition(":")[2] for one in SUITES.values()}
    assert {one for one in files if one.endswith(".toml")} == targets


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_committed_results(name):
    assert (Path(__file__).parents[2] / "results" / name / "records.jsonl").is_file()


@pytest.mark.parametrize("name", SUITES)
def test_each_file_says_how_to_make_your_own(name):
    target = SUITES[name]["target"].partition(":")[2]
    text = (resources.files(attnbench_suites) / target).read_text(encoding="utf-8")
    assert text.startswith(f"# {name}: ")
    assert "To make your own: copy this file" in text.partition("\n[suite]")[0]


@pytest.mark.parametrize("name", PRINTED)
def test_every_printed_cell(name):
    suite = suite_of(name)
    for layout, original in zip(suite.table, PRINTED[name], strict=True):
        ours = [printed_numbers(row, layout.groups) for row in layout.row if row.printed]
        assert ours == [line.split() for line in original.strip().splitlines()]


def test_quick_prints_nothing():
    assert not [row for layout in suite_of("quick").table for row in layout.row if row.printed]


@pytest.mark.parametrize("name", SUITES)
def test_every_reason_is_used(name):
    suite = suite_of(name)
    used = {
        reason
        for layout in suite.table
        for row in layout.row
        for reason in (*row.reasons.values(), *row.guesses.values())
    }
    assert set(suite.reasons) == used


def expected(name, row, metric, printed):
    cell = (name, row, metric, printed)
    if metric in ("top1", "top5"):
        return "not measured"
    if cell in EITHER:
        return "reproduced"
    if cell in EXPLAINED or cell in DIFFERS:
        return "explained" if cell in EXPLAINED else "differs"
    ways = {"rounding": ROUNDED, "cutting": CUT}
    found = [way for way, cells in ways.items() if printed in cells.get(name, "").split()]
    return f"reproduced by {found[0]}" if found else "reproduced"


@pytest.mark.parametrize("name", PRINTED)
def test_every_verdict(reports, name):
    for line in reports[name].lines:
        for metric in METRICS:
            printed = line.get(f"printed_{metric}")
            if printed is not None:
                cell = (name, line["row"], metric, printed)
                assert (*cell, line[f"verdict_{metric}"]) == (*cell, expected(*cell))


@pytest.mark.parametrize(("verdict", "cells"), [("explained", EXPLAINED), ("differs", DIFFERS)])
def test_what_does_not_come_out_is_all_there(reports, verdict, cells):
    found = {
        (name, line["row"], metric, line[f"printed_{metric}"])
        for name, report in reports.items()
        for line in report.lines
        for metric in METRICS
        if line.get(f"verdict_{metric}") == verdict
    }
    assert found == cells


def test_where_a_source_contradicts_itself_its_notes_name_the_other_figure():
    printed: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for suite in filter(lambda suite: suite.suite.url, map(suite_of, SUITES)):
        for row in (row for layout in suite.table for row in layout.row):
            module = re.sub(r",groups=[0-9]+", "", row.module or "")
            network = (row.backbone or "", module, row.placement or "")
            guesses = [suite.reasons[guess] for guess in row.guesses.values()]
            for metric in {"params", "macs"} & row.printed.keys():
                key = (suite.suite.url, *network, metric)
                text = " ".join((row.note, *guesses))
                printed.setdefault(key, []).append((row.printed[metric], text))
    several = [cells for key, cells in printed.items() if key[1] and len(dict(cells)) > 1]
    assert {frozenset(figure for figure, _ in cells) for cells in several} == {
        frozenset({"2.96M", "2.97M"}),
        frozenset({"269.07M", "269.08M"}),
        frozenset({"223.77M", "224.16M"}),
    }
    for cells in several:
        for figure, text in cells:
            others = {other for other, _ in cells} - {figure}
            assert all(other.removesuffix("M") in text for other in others), (figure, text)


@pytest.mark.parametrize(
    ("name", "releases"),
    [
        ("ulsam-finegrained-mv1", {"cub200": "CUB-200-2011", "stanford-dogs": "Stanford Dogs"}),
        ("ulsam-finegrained-mv2", {"cub200": "CUB-200-2011", "food101": "Food-101"}),
    ],
)
def test_a_data_set_that_the_source_does_not_name_is_said_to_be_assumed(name, releases):
    suite = suite_of(name)
    used = {suite.accuracy_of(layout).dataset for layout in suite.table}
    assert set(releases) <= used
    notes = [*suite.suite.notes, *(note for layout in suite.table for note in layout.notes)]
    said = " ".join(note for note in notes if "Assumption" in note or "We read it as" in note)
    assert all(release in said for release in releases.values())


def test_exact_counts(reports):
    lines = {
        line["case"].partition("/")[2]: (line["params"], line["macs"])
        for report in reports.values()
        for line in report.lines
        if line["case"].startswith("cost/")
    }
    assert {name: lines.get(name) for name in EXACT} == EXACT


def test_more_groups_add_three_parameters_each(reports):
    lines = [line for line in reports["ulsam-imagenet"].lines if line["placement"] == "after:17"]
    extra = [line["delta_params"] for line in lines if "delta_params" in line]
    assert extra == [5 * 160 + 3 * g for g in (1, 2, 4, 8, 16)]


@pytest.mark.parametrize("name", [name for name in PRINTED if name != "ulsam-table1"])
def test_every_replacement_has_its_control(reports, name):
    lines = reports[name].lines
    places = {
        one: {
            (line["table"], line["backbone"], line["placement"])
            for line in lines
            if (line["placement"] or "").startswith("replace")
            and (line["module"] or "").startswith(one)
        }
        for one in ("ulsam", "identity")
    }
    assert places["ulsam"] == places["identity"]


@pytest.mark.parametrize("name", SUITES)
def test_all_rows_are_measured_and_rendered(reports, name):
    report = reports[name]
    counted = [line for line in report.lines if line["case"].startswith("cost/")]
    assert {line["status"] for line in counted} == {"ok"}
    for form in ("md", "tex", "html", "csv"):
        assert render(report, form)


def test_the_order_that_bam_s_note_speaks_of(reports):
    rows = {line["row"]: line for line in reports["ulsam-table1"].lines}
    bam, double = rows["BAM"], rows["A²-Net"]
    for metric in ("params", "macs"):
        assert bam[f"nominal_{metric}"] > double[f"nominal_{metric}"]
        assert bam[metric] < double[metric]


@pytest.mark.parametrize(
    ("backbone", "layers", "siblings"),
    [
        ("mobilenet_v1", "after:{}", [7, 8, 9, 10, 11, 12]),
        ("mobilenet_v1", "after:{}", [13, 14]),
        ("mobilenet_v1", "replace:{}", [8, 9, 10, 11, 12]),
        ("mobilenet_v2", "after:{}", [15, 16, 17]),
        ("mobilenet_v2", "replace:{}", [13, 14]),
        ("mobilenet_v2", "replace:{}", [16, 17]),
        ("mobilenet_v2", "replace:{},14", [9, 10, 11]),
    ],
)
def test_siblings_count_the_same(catalog, backbone, layers, siblings):
    from attnbench.suites.plan import make_case

    meter = CostMeter(catalog)
    counts = Counter(
        tuple(meter.measure(case)["values"][key] for key in ("params", "macs", "paper_delta_macs"))
        for case in (
            make_case(catalog, backbone=backbone, module="ulsam", placement=layers.format(layer))
            for layer in siblings
        )
    )
    assert len(counts) == 1


def timed_cases(name):
    cases = all_cases(plan(suite_of(name), own_catalog(), brackets=lambda arms: []))
    return [case for case in cases if case.kind == "latency"]


@pytest.mark.parametrize("name", ["quick", "mobilenet-latency", "module-latency"])
def test_latency_suites_pool_fresh_processes_and_have_the_plain_network(name):
    cases = timed_cases(name)
    assert cases
    assert suite_of(name).latency.processes >= 3
    networks = {case.plain.name for case in cases if case.backbone}
    assert networks <= {case.name for case in cases}


@pytest.mark.parametrize("name", ["mobilenet-latency", "module-latency"])
def test_every_module_is_timed_plain_and_fused(name, catalog):
    shown = {(case.module, case.fused) for case in timed_cases(name)}
    for module in catalog.modules.names():
        assert (module, False) in shown
        assert ((module, True) in shown) == hasattr(find_attention(module, catalog).factory, "fuse")


def test_all_runtimes_are_measured_on_three_backbones_at_two_batch_sizes():
    cases = [case for case in timed_cases("mobilenet-latency") if case.module == "ulsam"]
    found = {(case.backbone, case.conditions.runtime, case.conditions.batch) for case in cases}
    backbones = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small")
    assert found >= set(product(backbones, runtimes()[:6], (1, 4)))
