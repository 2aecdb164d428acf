"""The rows and metrics of the interactive report, against the frame of the same run."""

import json
from dataclasses import replace

import pytest

import attnbench
from attnbench.records.store import find_run, read_run
from attnbench.reports.web_report.report_data import report_data

from ...test_pages import RESULTS


@pytest.fixture(scope="module")
def data():
    names = ("quick", "ulsam-table1")
    return report_data([read_run(find_run(str(RESULTS / name))) for name in names]).to_json()


def row_of(data, module, place):
    """The values of a row by metric, as the page puts them together."""
    names = [(row["module"], row["place"]) for row in data["rows"]]
    number = names.index((module, place))
    assert names.count((module, place)) == 1
    return {
        metric["key"]: [part[metric["at"].index(number)] for part in metric["parts"]]
        for metric in data["metrics"]
        if number in metric["at"]
    }


def test_values_are_those_of_the_frame(data):
    frame = attnbench.load(str(RESULTS / "quick")).to_frame()
    of_se = frame[(frame.module == "se") & (frame.placement == "after:14")]
    of_se = of_se[of_se.backbone == "mobilenet_v2"]
    values = row_of(data, "se", "after:14")
    params = of_se[(of_se.kind == "cost") & (of_se.metric == "params")].value.item()
    assert values["mobilenet_v2|params"] == [params]
    assert values["mobilenet_v2|params%"] == [
        pytest.approx(100 * (params / 3_504_872 - 1), rel=1e-4)
    ]
    timed = of_se[(of_se.metric == "ratio") & (of_se.runtime == "eager")].iloc[0]
    wanted = [100 * (ratio - 1) for ratio in (timed.value, timed.low, timed.high)]
    assert values["mobilenet_v2|eager|"][:3] == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert values["mobilenet_v2|eager|"][3] == timed.verdict


def test_the_plain_network_costs_nothing_more(data):
    values = row_of(data, "plain", "after:14")
    assert values["mobilenet_v2|eager|"] == [0.0, None, None, "plain"]
    assert values["mobilenet_v2|params"] == [3_504_872]


def test_metrics_say_what_they_are(data):
    kinds = {metric["key"]: metric for metric in data["metrics"]}
    assert all(metric["at"] and metric["parts"] for metric in kinds.values())
    machines = [metric["machine"] for metric in kinds.values() if metric["kind"] == "milliseconds"]
    assert machines and all(machines)


def test_milliseconds_of_two_machines_are_two_metrics():
    run = read_run(find_run(str(RESULTS / "quick")))
    machine = {"system": "Other", "processor": "X"}
    headers = {
        name: header.model_copy(update={"machine": machine})
        for name, header in run.header_of.items()
    }
    data = report_data([run, replace(run, header_of=headers)]).to_json()
    assert len({metric.get("machine") for metric in data["metrics"]} - {None}) == 2


def test_the_data_is_strict_json(data):
    json.dumps(data, allow_nan=False)
