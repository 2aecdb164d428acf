from __future__ import annotations

import pytest

PLAIN = "cost/mobilenet_v2/plain"
PLACED = "cost/mobilenet_v2/ulsam/after:17"


@pytest.fixture
def grouped(content):
    """The same table with g = 1 and g = 8 as column groups."""
    table = content["table"][0]
    table["groups"] = {
        "option": "groups",
        "values": [1, 8],
        "label": "g = {}",
        "columns": ["top1", "top5"],
    }
    table["row"][0]["printed"] |= {"top1": "71.25", "top5": "90.19"}
    table["row"][1]["printed"] |= {"top1": ["71.31", "71.40"], "top5": ["90.28", "90.30"]}
    return content


def texts(report, row, table=0):
    return [cell.plain for cell in report.tables[table].rows[row]]


def notes(report, cell, table=0):
    return [report.tables[table].footnotes[number - 1] for number in cell.notes]


def test_heads_carry_unit_and_convention(report_of, content):
    heads = [column.full_head for column in report_of(content).tables[0].columns]
    assert heads == [
        "Model",
        "Placement",
        "#Params (printed / nominal = plain as printed ± change)",
        "#FLOPs (multiply-adds, printed / nominal = plain as printed ± change)",
        "Parameters (all, BN included)",
        "MACs (multiply-adds of conv, linear, matmul; 224×224)",
    ]


def test_rows_of_several_sizes_have_no_size_in_the_head(report_of, content):
    content["table"][0]["row"][0]["size"] = 192
    assert "at the row's size" in report_of(content).tables[0].columns[-1].unit


def test_cells(report_of, content):
    assert texts(report_of(content), 1) == [
        "MV2 + ULSAM",
        "after:17",
        "3.4M / 3.4M = 3.4M + 320 (reproduced)",
        "300.01M / 300.0157M = 300M + 15,680 (reproduced by cutting)",
        "3,505,684",
        "300,789,952",
    ]


def test_differences_stand_on_exact_counts_beside_printed_ones(report_of, content):
    report = report_of(content)
    label, _, printed, _, params, macs = report.tables[0].rows[1]
    assert (label.notes, printed.notes) == ((), ())
    assert notes(report, params) == notes(report, macs) == ["ULSAM: Biases are left out."]
    content["table"][0]["columns"] = ["label", "params"]
    assert report_of(content).tables[0].footnotes == ()


def test_row_notes_are_numbered_once(report_of, content):
    for row in content["table"][0]["row"]:
        row["note"] = "One for both."
    report = report_of(content)
    assert [row[0].notes for row in report.tables[0].rows] == [(1,), (1,)]


def test_sites_are_shown(report_of, content, record):
    slot = {"layer": 17, "path": "features.16", "channels": 160, "size": [7, 7], "replaced": False}
    other = {"layer": None, "path": "stem", "channels": 8, "size": [9, 5], "replaced": True}
    report = report_of(content, {PLACED: record(slots=[slot, other])})
    assert notes(report, report.tables[0].rows[1][1]) == [
        "after:17: layer 17 is features.16, 160 channels, 7x7; stem, 8 channels, 9x5."
    ]


def test_column_groups(report_of, grouped):
    report = report_of(grouped)
    assert [column.group for column in report.tables[0].columns] == [
        *[""] * 6,
        *["g = 1"] * 2,
        *["g = 8"] * 2,
    ]
    assert texts(report, 1)[6:] == [
        "71.31 / not measured",
        "90.28 / not measured",
        "71.40 / not measured",
        "90.30 / not measured",
    ]


def test_a_single_case_spans_the_groups(report_of, grouped):
    cell = report_of(grouped).tables[0].rows[0][-1]
    assert cell.span == 4
    assert cell.text == "Top-1 71.25 / not measured; Top-5 90.19 / not measured"


def test_spans_add_up(report_of, grouped):
    table = report_of(grouped).tables[0]
    assert {sum(cell.span for cell in row) for row in table.rows} == {len(table.columns)}


def test_cases_that_differ_make_a_range(report_of, grouped, record):
    report = report_of(
        grouped,
        {
            "cost/mobilenet_v2/ulsam,groups=1/after:17": record({"params": 3_505_675}),
            "cost/mobilenet_v2/ulsam,groups=8/after:17": record({"params": 3_505_696}),
        },
    )
    assert texts(report, 1)[4:6] == ["3,505,675 to 3,505,696", "300,789,952"]


def test_counts_can_stand_in_column_groups(report_of, grouped, record):
    grouped["table"][0]["groups"]["columns"] = ["params"]
    report = report_of(
        grouped, {"cost/mobilenet_v2/ulsam,groups=8/after:17": record({"params": 7})}
    )
    assert texts(report, 1)[-2:] == ["3,505,684", "7"]
    assert texts(report, 0)[-1] == "Parameters 3,505,684"


def test_one_failed_case_of_several(report_of, grouped):
    name = "cost/mobilenet_v2/ulsam,groups=8/after:17"
    report = report_of(grouped, {name: {"status": "failed", "reason": "160 % 7", "values": {}}})
    assert notes(report, report.tables[0].rows[1][0]) == ["g = 8: failed: 160 % 7"]
    assert texts(report, 1)[4] == "3,505,684"


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_rows_without_values_stay_and_say_why(report_of, content, status):
    report = report_of(content, {PLACED: {"status": status, "reason": "out of memory"}})
    row = report.tables[0].rows[1]
    assert [cell.plain for cell in row] == [
        "MV2 + ULSAM",
        "after:17",
        "3.4M / not measured",
        "300.01M / not measured",
        status,
        status,
    ]
    assert notes(report, row[0]) == [f"{PLACED}: {status}: out of memory"]
    assert report.lines[1]["reason"] == "out of memory"


def test_cases_that_were_not_run(report_of, content):
    report = report_of(content, missing=(PLACED,))
    assert texts(report, 1)[-1] == "not run"
    assert report.lines[1]["status"] == "not run"


def test_norms_without_a_reference_value(report_of, content):
    content["table"][0] |= {"columns": ["label", "params_norm"], "reference": "MV2"}
    report = report_of(content, missing=(PLAIN,))
    assert texts(report, 0) == ["MV2", "not run"]
    assert texts(report, 1) == ["MV2 + ULSAM", "–"]


def test_traits_and_formulas(report_of, content, record):
    content["table"][0]["columns"] = ["label", "traits", "formula"]
    assert texts(report_of(content), 1) == ["MV2 + ULSAM", "✓", "×", "×", "2m", "2m*h*w"]
    bare = report_of(content, {PLACED: record()})
    assert [(cell.text, cell.span) for cell in bare.tables[0].rows[1][1:]] == [
        ("not declared", 3),
        ("not declared", 2),
    ]


def test_counters(report_of, content, record):
    content["table"][0]["columns"] = ["label", "counters"]
    batch_norm = {"operator": "batch_norm", "why": "counts batch norm", "macs": -30}
    rules = {"raw": 100, "unit": "MACs", "adjustments": [], "macs": 100, "agree": True}
    fvcore = {**rules, "raw": 160, "adjustments": [batch_norm, batch_norm]}
    torch = {**rules, "raw": 200, "factor": 2, "unit": "FLOPs"}
    odd = {**rules, "raw": 103, "macs": 103, "agree": False, "remainder": 3}
    broken = {**rules, "raw": None, "macs": None, "agree": False, "reason": "no such operator"}
    counters = {"rules": rules, "fvcore": fvcore, "torch": torch, "odd": odd, "broken": broken}
    report = report_of(content, {PLACED: record(counters=counters)})
    cell = report.tables[0].rows[1][1]
    assert cell.text == "2 of 4 agree"
    assert notes(report, cell) == [
        "fvcore says 160: batch_norm -60. torch says 200: 2 to a multiply-add. "
        "odd says 103: +3 unexplained. broken failed: no such operator."
    ]
    assert "torch counts FLOPs." in report.footer


def test_added_rows_are_marked(report_of, content):
    report = report_of(content, added=("se,reduction=8",))
    row = report.tables[0].rows[-1]
    assert "--add" in notes(report, row[0])[0]
    assert row[2].text == "–"
    assert report.lines[-1]["added"] is True


def test_the_best_measured_figures_are_bold(report_of, content, record):
    content["table"][0] |= {
        "columns": ["label", "traits", "params", "macs"],
        "best": {"params": "min", "macs": "max"},
    }
    report = report_of(content, {PLAIN: record({"params": 7, "macs": 7})})
    bold = [[cell.bold for cell in row if cell.text[0].isdigit()] for row in report.tables[0].rows]
    assert bold == [[True, False], [False, True]]


def test_the_best_of_each_column_group(report_of, grouped, record):
    grouped["table"][0]["best"] = {"top1": "max"}
    one, eight = (f"cost/mobilenet_v2/ulsam,groups={g}/after:17" for g in (1, 8))
    report = report_of(
        grouped, {PLAIN: record({"top1": 99}), one: record({"top1": 70}), eight: record()}
    )
    assert [cell.bold for cell in report.tables[0].rows[1]][6:] == [True, False, False, False]


def test_the_footer(report_of, content):
    footer = report_of(content).footer
    assert footer[0] == "Printed figures: A paper."
    assert any(line.startswith("Verdicts:") for line in footer)
    assert footer[-2:] == ("Suite small, version 1.", "Measured with attnbench 0.1.0.")


def test_without_printed_figures_there_is_no_talk_of_verdicts(report_of, content):
    content["suite"]["source"] = ""
    for row in content["table"][0]["row"]:
        del row["printed"]
    footer = " ".join(report_of(content).footer)
    assert "Verdicts" not in footer
    assert "Printed figures" not in footer
