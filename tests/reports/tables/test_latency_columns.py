"""Tables with latency: columns for each runtime, verdicts, ranks, and how paper ranks compare."""

import csv
import io

import numpy as np
import pytest

from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.latency_columns import interval, milliseconds, percent, size
from attnbench.reports.tables.render import render
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan

RATIOS = {None: 1.0, "se": 1.05, "cbam": 1.30, "bam": 1.20, "identity": 1.0, "ulsam": 1.1}
PARAMS = {None: 0, "se": 500, "cbam": 400, "bam": 300, "identity": 0, "ulsam": 10}
RUNTIMES = ["eager", "onnxruntime"]


def content(**latency):
    return {
        "suite": {"name": "small", "title": "A small suite"},
        "latency": {"runtimes": RUNTIMES, "rank": "eager", **latency},
        "table": [
            {
                "columns": ["label", "delta_params", "macs"],
                "latency": {"columns": ["overhead", "median", "peak"]},
                "row": [
                    {
                        "backbone": "mobilenet_v2",
                        "module": ["cbam", "se", "bam", "ulsam", "identity"],
                        "placement": "after:14",
                        "label": "{module}",
                    },
                    {"backbone": "mobilenet_v2", "label": "plain"},
                ],
            }
        ],
    }


def samples(ratio, seed):
    drawn = np.random.default_rng(seed)

    def arm(factor):
        return tuple(0.01 * factor * np.exp(0.004 * drawn.standard_normal(60)))

    seconds = {"plain": arm(1.0), AGAIN: arm(1.0)} | ({} if ratio is None else {"arm": arm(ratio)})
    calls = dict.fromkeys(seconds, 1)
    return TimingSamples("plain", seconds, calls, 0.1, 1.0, "budget").to_json()


def latency_record(case, **fields):
    ratio = None if case.module is None else RATIOS[case.module]
    runtime = {
        "title": case.conditions.runtime.title(),
        "versions": {"torch": "9.9"},
        "processor": "A Processor",
        "isa": "AVX512",
        "fallbacks": {},
    }
    return {
        "status": "ok",
        "reason": None,
        "values": {"peak_bytes": 5 * 2**20, "export_s": None, "load_s": 1.5},
        "samples": [samples(ratio, seed) for seed in range(3)],
        "runtime": runtime,
        **fields,
    }


@pytest.fixture
def built(catalog, record):
    def build(suite_content=None, change=None):
        suite = parse_suite(suite_content or content(), "small.toml")
        tables = plan(suite, catalog)
        records = {}
        for case in all_cases(tables):
            if case.kind == "cost":
                records[case.name] = record({"delta_params": PARAMS[case.module]})
            else:
                records[case.name] = latency_record(case)
        for name, fields in (change or {}).items():
            records[name] = {**records[name], **fields}
        return build_report(suite, tables, records, {})

    return build


def column(table, text):
    heads = [f"{one.group} {one.full_head}" for one in table.columns]
    return next(number for number, head in enumerate(heads) if text in head)


def labels(table):
    return [row[0].text for row in table.rows]


def test_each_runtime_has_its_columns_under_a_head_that_says_on_what(built):
    (table,) = built().tables
    groups = [one.group for one in table.columns]
    expected = "Onnxruntime (torch 9.9), fp32, batch 1, 1 thread, A Processor AVX512"
    assert (
        groups == [""] * 3 + ["Eager" + expected.removeprefix("Onnxruntime")] * 3 + [expected] * 3
    )


def test_rows_are_ranked_by_overhead_with_the_plain_network_first(built):
    (table,) = built().tables
    ranked = labels(table)
    assert ranked[0] == "plain"
    assert ranked[2:6] == ["se", "ulsam", "bam", "cbam"]


def test_unmeasured_rows_come_last_with_the_reason(built):
    name = "latency/mobilenet_v2/se/after:14/eager"
    (table,) = built(
        change={name: {"status": "failed", "reason": "no such luck", "values": {}}}
    ).tables
    assert labels(table)[5] == "se"
    cell = table.rows[5][column(table, "Eager (torch 9.9)")]
    assert cell.text == "failed"
    assert f"{name}: failed: no such luck" in [table.footnotes[one - 1] for one in cell.notes]


def test_overheads_carry_interval_and_verdict(built):
    (table,) = built().tables
    rows = dict(zip(labels(table), table.rows, strict=True))
    place = column(table, "Overhead")
    assert rows["plain"][place].text.startswith("A/A [")
    assert rows["se"][place].text.startswith("+5.")
    assert rows["se"][place].text.endswith("] slower")
    assert "same within" in rows["identity"][place].text


def test_a_failed_control_withholds_the_verdict_and_says_so(built):
    unsettled = [{**samples(1.3, seed)} for seed in range(3)]
    for one in unsettled:
        one["seconds"][AGAIN] = [1.2 * value for value in one["seconds"][AGAIN]]
    name = "latency/mobilenet_v2/cbam/after:14/eager"
    (table,) = built(change={name: {"samples": unsettled}}).tables
    row = dict(zip(labels(table), table.rows, strict=True))["cbam"]
    cell = row[column(table, "Overhead")]
    assert cell.text.endswith("inconclusive")
    assert any("own copy" in table.footnotes[one - 1] for one in cell.notes)


def test_what_fell_off_the_fast_path_is_named(built):
    name = "latency/mobilenet_v2/ulsam/after:14/onnxruntime"
    runtime = {
        "title": "ORT",
        "versions": {},
        "processor": "P",
        "isa": "I",
        "fallbacks": {"aten.max_pool2d not delegated": 4},
    }
    (table,) = built(change={name: {"runtime": runtime}}).tables
    assert "ORT, off the fast path: aten.max_pool2d not delegated (4)." in table.footnotes


def on_cuda(built, share, clocks, **latency):
    """The notes of a table measured on a CUDA device, without those on its rounds."""
    suite = content(device="cuda", **latency)
    conditions = parse_suite(suite, "small.toml").latency.conditions()[0]
    name = f"latency/mobilenet_v2/se/after:14/{conditions}"
    device = {"title": "Card 0", "clocks": clocks}
    fields = {"device": device, "title": "Eager", "versions": {}}
    values = {"peak_bytes": None, "launch_share": share}
    (table,) = built(suite, {name: {"values": values, "runtime": fields}}).tables
    return [note for note in table.notes if "rounds from" not in note]


@pytest.mark.parametrize(
    ("latency", "advice"),
    [
        ({}, "their figures are those of Python and the driver. To time the device, replay a CUDA"),
        (
            {"cold": True},
            "the driver, cold or not. To time the device, replay a CUDA graph (--graph",
        ),
        ({"graph": True, "runtimes": ["eager"], "rank": None}, "To time the device, take a larger"),
    ],
)
def test_a_column_that_times_launching_says_so(built, latency, advice):
    (first, *_) = on_cuda(built, 0.97, {"sm_mhz": 1980}, **latency)
    assert "1 of 6 rows are launch-bound" in first and advice in first
    notes = on_cuda(built, 0.5, {"sm_mhz": 1980}, **latency)
    assert not [note for note in notes if "launch-bound" in note]


def test_a_column_says_that_nothing_watched_the_clocks(built):
    assert "eager,device=cuda: nothing watched the device's clocks" in "".join(
        on_cuda(built, 0.5, None)
    )


def test_what_is_missing_for_all_rows_is_named_once(built, catalog):
    suite = parse_suite(content(device="cuda"), "small.toml")
    reason = "device is not on this machine: got cuda:0. Choose from cpu."
    skipped = {"status": "skipped", "reason": reason, "values": {}, "samples": []}
    cases = [case for case in all_cases(plan(suite, catalog)) if case.kind == "latency"]
    (table,) = built(content(device="cuda"), {case.name: skipped for case in cases}).tables
    assert list(table.footnotes) == [
        f"{runtime},device=cuda: skipped: {reason}" for runtime in RUNTIMES
    ]
    assert {row[3].text for row in table.rows[:6]} == {"skipped"}


def test_rank_correlations_stand_below_each_paper_column(built):
    (table,) = built().tables
    rows = [row for row in table.rows if row[0].text.startswith("rank correlation")]
    assert [row[0].text for row in rows] == [
        f"rank correlation with overhead in {name}" for name in RUNTIMES
    ]
    # params rank se > cbam > bam > ulsam > identity, time cbam > bam > ulsam > se > identity
    assert rows[0][1].text == "0.40"  # 1 - 6 (9 + 1 + 1 + 1) / (5 * 24)
    assert rows[0][2].text == "–"  # every record has the same MACs
    assert {cell.text for cell in rows[0][3:]} == {""}


def test_effort_and_floor_are_told_below_the_table(built):
    (table,) = built().tables
    assert table.notes[0].startswith(
        "Eager: 180 rounds from 3 fresh processes, A/A floor at most 0."
    )


@pytest.mark.parametrize("form", ["md", "tex", "html", "csv"])
def test_every_format_shows_the_figures(built, form):
    text = render(built(), form)
    assert "slower" in text
    if form == "csv":
        lines = list(csv.DictReader(io.StringIO(text)))
        timed = [line for line in lines if line["runtime"]]
        assert len(timed) == 12
        assert {line["precision"] for line in timed} == {"fp32"}
        se = next(line for line in timed if line["module"] == "se")
        assert 1.04 < float(se["ratio_low"]) < float(se["ratio"]) < float(se["ratio_high"]) < 1.06


def test_a_module_alone_is_in_units_of_one_pass(catalog):
    suite = parse_suite(
        {
            "suite": {"name": "small", "title": "Alone"},
            "table": [
                {
                    "columns": ["label"],
                    "latency": {"runtimes": ["eager"]},
                    "row": [{"module": "cbam", "channels": 96, "size": 14}],
                }
            ],
        },
        "small.toml",
    )
    tables = plan(suite, catalog)
    records = {case.name: latency_record(case) for case in all_cases(tables) if case.conditions}
    (table,) = build_report(suite, tables, records, {}).tables
    assert table.rows[0][1].text.startswith("1.3x [")
    assert "in passes over the map" in table.columns[1].unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(1.042), "+4.2%"),
        (percent(0.9996), "0.0%"),
        (percent(3.456), "+246%"),
        (interval(0.98, 1.003), "[-2.0, +0.3]"),
        (milliseconds(0.0171234), "17.12"),
        (milliseconds(0.5), "500"),
        (milliseconds(0.000512), "0.512"),
        (milliseconds(0.0000123), "0.0123"),
        (size(None), "–"),
        (size(885_000), "864.3 KiB"),
        (size(4_816_896), "4.59 MiB"),
    ],
)
def test_figures(text, expected):
    assert text == expected
