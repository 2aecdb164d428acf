"""Committed runs as frames, tables and figures."""

import json
import math
from pathlib import Path

import pytest

import attnbench
from attnbench.errors import RecordError, UnknownNameError

RESULTS = Path(__file__).parents[2] / "results"
FIRST = ["case", "kind", "backbone", "module", "placement", "form"]


@pytest.fixture(scope="module")
def quick():
    return attnbench.load("quick", out=RESULTS)


def read(path):
    """Return the lines of a run that are no records, and the last cost record of each case."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    costs = {line["case"]: line for line in lines if line.get("kind") == "cost"}
    return [line for line in lines if "case" not in line], [*costs.values()]


@pytest.fixture(scope="module")
def frame(quick):
    return quick.to_frame()


def test_a_name_a_folder_and_a_file_are_the_same_run(quick):
    for place in (RESULTS / "quick", str(RESULTS / "quick"), quick.path):
        assert attnbench.load(place).path == quick.path
    assert quick.name == "quick"


def test_a_row_for_each_case_and_metric(frame):
    assert list(frame.columns[:6]) == FIRST
    assert not frame.duplicated(["case", "metric"]).any()
    assert set(frame.kind) == {"cost", "latency", "accuracy"}
    assert set(frame.status) == {"ok"}


def test_every_exact_value_of_the_records_is_there(quick, frame):
    _, records = read(quick.path)
    counts = frame[frame.kind == "cost"].set_index(["case", "metric"]).value
    known = {
        (record["case"], metric): value
        for record in records
        for metric, value in record["values"].items()
        if value is not None
    }
    assert counts.to_dict() == known


def test_ratios_have_an_interval_a_verdict_and_a_unit(frame):
    ratios = frame[frame.metric == "ratio"]
    assert set(ratios.runtime) == {"eager", "onnxruntime"}
    assert (ratios.low <= ratios.value).all()
    assert (ratios.value <= ratios.high).all()
    assert set(ratios.verdict) <= {"slower", "faster", "same", "inconclusive"}
    assert set(ratios.unit) == {"x plain"}
    assert set(frame[frame.metric == "median_ms"].unit) == {"ms"}
    assert frame[frame.metric == "median_ms"].low.isna().all()


def test_accuracies_of_each_seed_and_their_means(frame):
    top1 = frame[frame.metric == "top1"]
    means = frame[frame.metric == "top1_mean"].set_index("case").value
    for case, own in top1.groupby(top1.case.str.replace(r",seed=\d+$", "", regex=True)):
        assert sorted(own.seed) == [0, 1, 2]
        assert means[case] == pytest.approx(own.value.mean())
    differences = frame[frame.metric == "difference_mean"]
    assert differences.seed.isna().all()
    assert (differences.low <= differences.value).all()
    assert set(differences.unit) == {"points"}


def test_printed_figures_have_their_verdicts():
    frame = attnbench.load(RESULTS / "ulsam-table1").to_frame()
    judged = frame[frame.verdict.notna()]
    assert set(judged.metric) == {"params", "macs"}
    assert set(judged.verdict) == {"reproduced", "reproduced by rounding"}


def test_the_table_is_text_and_html(quick):
    table = quick.table()
    assert str(table).startswith("Attention modules in MobileNetV1 and MobileNetV2")
    assert repr(table) == str(table)
    html = table._repr_html_()
    assert html.count("<table>") == len(table.report.tables)
    assert html == quick._repr_html_()
    assert table.render("csv") == (RESULTS / "quick" / "table.csv").read_text()


def test_the_figure_is_of_a_placement(quick):
    figure = quick.plot()
    assert len(figure.axes) > 1
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UnknownNameError, match=r"placement .*'after:99'"):
        quick.plot("after:99")


def test_its_repr_counts(quick):
    assert repr(quick).endswith(": 24 accuracy, 24 cost, 48 latency; 96 ok>")


def test_failed_and_missing_cases_are_rows(tmp_path):
    folder = RESULTS / "ulsam-table1"
    headers, costs = read(folder / "records.jsonl")
    gone, broken, *rest = costs
    broken = {**broken, "status": "failed", "reason": "no luck", "values": {}}
    for archive in folder.glob("*.npz"):
        (tmp_path / archive.name).write_bytes(archive.read_bytes())
    lines = map(json.dumps, [*headers, broken, *rest])
    (tmp_path / "records.jsonl").write_text("\n".join(lines) + "\n")
    frame = attnbench.load(tmp_path).to_frame()
    (row,) = frame[frame.status == "failed"].to_dict("records")
    assert (row["case"], row["reason"]) == (broken["case"], "no luck")
    assert math.isnan(row["value"])
    (row,) = frame[frame.status == "not run"].to_dict("records")
    assert row["case"] == gone["case"]


def test_no_run():
    with pytest.raises(RecordError, match="no run at 'nowhere'"):
        attnbench.load("nowhere")
