from __future__ import annotations

from fractions import Fraction

import pytest

from attnbench.errors import RequestError
from attnbench.reports.tables.build import NOMINAL
from attnbench.reports.tables.long_format import printed_figures
from attnbench.reports.tables.number_format import read_printed
from attnbench.reports.tables.reported_values import as_data, verdict_of, worst

PLACED = "cost/mobilenet_v2/ulsam/after:17"


def line(report, metric, row=1):
    return {
        key: report.lines[row].get(f"{key}_{metric}") for key in ("printed", "nominal", "verdict")
    }


@pytest.mark.parametrize(
    ("value", "has_reason", "verdict"),
    [
        (Fraction(4_200_000), False, "reproduced"),
        (Fraction(4_200_000), True, "reproduced"),
        (Fraction(4_160_000), True, "reproduced by rounding"),
        (Fraction(4_290_000), False, "reproduced by cutting"),
        (Fraction(9), True, "explained"),
        (Fraction(9), False, "differs"),
        (None, True, "not measured"),
    ],
)
def test_verdict(value, has_reason, verdict):
    assert verdict_of(read_printed("4.2M"), value, has_reason) == verdict


def test_the_worst_verdict_of_a_cell_counts():
    assert worst(["reproduced", "differs", "explained"]) == "differs"
    assert worst(["reproduced", "explained"]) == "explained"
    assert worst(["reproduced", "not measured"]) == "reproduced"
    assert worst(["reproduced", "reproduced by cutting"]) == "reproduced by cutting"
    assert worst([]) == "not measured"


def test_in_a_backbone_the_nominal_backbone_plus_the_formulas(report_of, content):
    report = report_of(content)
    assert line(report, "params") == {
        "printed": "3.4M",
        "nominal": 3_400_320,
        "verdict": "reproduced",
    }
    assert line(report, "macs")["nominal"] == 300_015_680
    assert line(report, "macs")["verdict"] == "reproduced by cutting"
    assert report.lines[1]["nominal_plain_macs"] == 300_000_000
    assert "nominal_plain_macs" not in report.lines[0]
    assert NOMINAL in report.footer


def test_a_nominal_value_that_starts_from_a_printed_figure_is_shown_as_the_sum(
    report_of, content, record
):
    content["table"][0]["row"][1]["printed"] = {"params": "3.28M", "macs": "277.34M"}
    # block 14 of MobileNetV2: 115,776 weights, 22,692,096 multiply-adds; ULSAM: 192 and 37,632
    change = {"paper_delta_params": 192 - 115_776, "paper_delta_macs": 37_632 - 22_692_096}
    report = report_of(content, {PLACED: record(change)})
    assert [cell.plain for cell in report.tables[0].rows[1][2:4]] == [
        "3.28M / 3.2844M = 3.4M - 115,584 (reproduced)",
        "277.34M / 277.3455M = 300M - 22,654,464 (reproduced by cutting)",
    ]
    del content["nominal"]
    report = report_of(content)
    assert report.tables[0].rows[1][2].plain == "3.28M / 3.4714M (differs)"
    assert NOMINAL not in report.footer


def test_a_plain_backbone_is_our_count_without_batch_norm(report_of, content, record):
    content["table"][0]["row"][0]["printed"]["params"] = "3.4M"
    values = {"params_no_norm": 3_470_760, "macs": 300_774_272}
    report = report_of(content, {"cost/mobilenet_v2/plain": record(values)})
    assert line(report, "params", 0)["nominal"] == 3_470_760
    assert line(report, "macs", 0) == {
        "printed": "300M",
        "nominal": 300_774_272,
        "verdict": "reproduced by cutting",
    }


@pytest.mark.parametrize(
    ("convention", "printed", "nominal", "verdict"),
    [
        ({}, "3.47M", 3_471_380, "reproduced"),
        ({"norms": True}, "3.51M", 3_505_684, "reproduced by rounding"),
        ({"norms": True, "base": 1024}, "3.34M", 3_505_684, "reproduced"),
        ({"norms": True}, "3.34M", 3_505_684, "differs"),
        ({"base": 1024}, "3.34M", 3_471_380, "differs"),
    ],
)
def test_a_source_s_convention(report_of, content, convention, printed, nominal, verdict):
    del content["nominal"]
    content["convention"] = convention
    content["table"][0]["row"][1]["printed"]["params"] = printed
    report = report_of(content)
    assert line(report, "params") == {"printed": printed, "nominal": nominal, "verdict": verdict}
    unit = "printed / nominal" + (", k and M: powers of 1024" if "base" in convention else "")
    assert report.tables[0].columns[2].unit == unit


def test_a_nominal_backbone_stands_whatever_the_convention(report_of, content):
    content["convention"] = {"norms": True}
    assert line(report_of(content), "params")["nominal"] == 3_400_320


def test_differences_from_a_formula_are_said_only_where_the_formula_counts(report_of, content):
    said = "ULSAM: Biases are left out."
    assert said in report_of(content).tables[0].footnotes
    del content["nominal"]
    assert said not in report_of(content).tables[0].footnotes


def test_without_nominal_backbone_or_formula_our_count_stands_in(report_of, content, record):
    report = report_of(content, {PLACED: record({"paper_delta_params": None})})
    assert line(report, "params")["nominal"] == 3_471_380
    del content["nominal"]
    assert line(report_of(content), "macs")["nominal"] == 300_789_952


def test_a_module_alone_is_its_printed_formula_and_norms_divide(report_of, content, record):
    del content["nominal"]
    alone = {"module": "ulsam", "channels": 512, "size": 14}
    content["table"][0] |= {
        "columns": ["label", "printed_params", "printed_params_norm", "params_norm"],
        "reference": "ULSAM",
        "row": [
            {
                "label": "SE",
                **alone,
                "module": "se",
                "printed": {"params": "33k", "params_norm": "33x"},
            },
            {"label": "ULSAM", **alone, "printed": {"params_norm": "1x"}},
        ],
    }
    se = record({"paper_params": 32_768, "params": 33_312})
    report = report_of(
        content,
        {"cost/alone/se/512x14x14": se, "cost/alone/ulsam/512x14x14": record({"params": 2572})},
    )
    assert line(report, "params", 0)["verdict"] == "reproduced by rounding"
    assert line(report, "params_norm", 0) == {
        "printed": "33x",
        "nominal": 32,
        "verdict": "differs",
    }
    assert [row[-1].text for row in report.tables[0].rows] == ["12.95x", "1.00x"]


def test_a_reason_explains_and_becomes_a_footnote(report_of, content):
    row = content["table"][0]["row"][1]
    row["printed"]["macs"] = "224.16M"
    assert line(report_of(content), "macs")["verdict"] == "differs"
    row["reasons"] = {"macs": "misprint"}
    content["reasons"] = {"misprint": "It is a misprint."}
    report = report_of(content)
    cell = report.tables[0].rows[1][3]
    assert cell.verdict == "explained"
    assert [report.tables[0].footnotes[number - 1] for number in cell.notes] == [
        "It is a misprint."
    ]


def test_a_guess_explains_nothing_but_becomes_a_footnote(report_of, content):
    row = content["table"][0]["row"][1]
    row["printed"]["macs"] = "224.16M"
    row["guesses"] = {"macs": "misprint"}
    content["reasons"] = {"misprint": "Perhaps a misprint."}
    report = report_of(content)
    cell = report.tables[0].rows[1][3]
    assert cell.verdict == line(report, "macs")["verdict"] == "differs"
    assert [report.tables[0].footnotes[number - 1] for number in cell.notes] == [
        "Perhaps a misprint."
    ]
    row["printed"]["macs"] = "300.02M"
    assert "Perhaps a misprint." not in report_of(content).tables[0].footnotes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guesses": {"macs": "misprnt"}}, "misprnt.*Did you mean 'misprint'"),
        (
            {"guesses": {"macs": "misprint"}, "reasons": {"macs": "misprint"}},
            "macs has a reason and",
        ),
    ],
)
def test_a_guess_that_cannot_be_is_refused(report_of, content, changes, said):
    content["reasons"] = {"misprint": "Perhaps a misprint."}
    content["table"][0]["row"][1] |= changes
    with pytest.raises(RequestError, match=said):
        report_of(content)


def test_a_reason_that_is_not_needed_is_not_shown(report_of, content):
    content["table"][0]["row"][1]["reasons"] = {"macs": "It is a misprint."}
    assert "It is a misprint." not in report_of(content).tables[0].footnotes


def test_accuracies_without_data_are_not_measured(report_of, content):
    content["table"][0]["columns"].append("top1")
    content["table"][0]["row"][1]["printed"]["top1"] = "71.60"
    cell = report_of(content).tables[0].rows[1][-1]
    assert cell.plain == "71.60 / not measured"


def test_the_schema_takes_only_figures_that_can_be_read(report_of, content):
    for figure in ("261.88M", "524k", "33x", "33×", "70.65%", "3,504,872", "1.5G", "-1"):
        content["table"][0]["row"][1]["printed"]["macs"] = figure
        assert line(report_of(content), "macs")["printed"] == figure
    content["table"][0]["row"][1]["printed"]["macs"] = "roughly 300M"
    with pytest.raises(RequestError, match=r"row\[2\].printed.macs: .*'roughly 300M'"):
        report_of(content)


def test_data_are_whole_numbers_where_they_can_be():
    assert as_data(Fraction(32)) == 32
    assert as_data(Fraction(1, 3)) == "0.333333"
    assert as_data(None) is None


def test_the_printed_figures_of_a_case_with_their_verdicts(report_of, content):
    figures = printed_figures(report_of(content).lines)
    assert set(figures) == {"cost/mobilenet_v2/plain", PLACED}
    place = {"table": "A small suite", "row": "MV2 + ULSAM"}
    assert figures[PLACED] == [
        {
            **place,
            "metric": "params",
            "printed": "3.4M",
            "nominal": 3_400_320,
            "nominal_plain": 3_400_000,
            "verdict": "reproduced",
        },
        {
            **place,
            "metric": "macs",
            "printed": "300.01M",
            "nominal": 300_015_680,
            "nominal_plain": 300_000_000,
            "verdict": "reproduced by cutting",
        },
    ]
