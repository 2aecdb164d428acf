"""What a run says, against the statistics of its samples worked out here."""

import math

import numpy as np
import pytest
from scipy import stats

from attnbench.records.store import read_run
from attnbench.regression.history.metric_values import read_metrics
from attnbench.stats.timing_samples import AGAIN

from .conftest import SE, accuracies, cost, latency

LATENCY = f"latency/{SE}/eager"
ACCURACY = f"accuracy/{SE}/digits/digits"


@pytest.fixture
def said(keep):
    def say(*records, **changes):
        run = read_run(keep("a", *records, **changes))
        return read_metrics(run, {record.case_key for record in records})

    return say


def test_only_what_is_wanted_is_worked_out(keep):
    run = read_run(keep("a", cost(1), latency(1), *accuracies([90, 91], [89, 90])))
    assert len({record.case_key for record in run.records.values()}) == 4
    assert {case for case, _ in read_metrics(run, {ACCURACY})} == {ACCURACY}


def test_counts_stay_whole(said):
    assert said(cost(2**53 + 1))[f"cost/{SE}", "params"].value == 2**53 + 1


def test_overhead_is_the_mean_over_processes(said):
    record = latency(1.05)
    found = said(record)[LATENCY, "overhead"]
    own = []
    for one in record.samples:
        logs = {arm: np.log(row) for arm, row in one["seconds"].items()}
        pair = [np.median(logs["arm"] - logs[base]) for base in ("plain", AGAIN)]
        own.append(np.mean(pair))
    assert found.value == pytest.approx(np.mean(own), abs=0.002)
    assert found.low < found.value < found.high
    reach = (found.high - found.low) / 2
    assert reach == pytest.approx(stats.t.ppf(0.975, 4) * found.error)


def test_a_ratio_of_a_distrusted_baseline_is_no_value(said):
    record = latency(1.05)
    for one in record.samples:
        one["seconds"][AGAIN] = [2 * second for second in one["seconds"]["plain"]]
    found = said(record)[LATENCY, "overhead"]
    assert found.value is None and "own copy" in found.reason


def test_the_plain_network_has_no_overhead(said):
    record = latency(1.0, conditions={"module": None, "conditions": {"batch": 1}})
    found = said(record)
    assert (LATENCY, "overhead") not in found
    assert found[LATENCY, "peak_bytes"].value == 5000


def test_operators_off_the_fast_path_are_added_up(said):
    runtime = {"versions": {"torch": "2"}, "fallbacks": {"aten.mul": 2, "aten.mean": 1}}
    assert said(latency(1.0, runtime=runtime))[LATENCY, "fallbacks"].value == 3


def test_accuracy_is_paired_by_seed(said):
    own, plain = [90.0, 91.5, 92.0, 80.0], [89.0, 91.0, 90.5]
    found = said(*accuracies(own, plain))[ACCURACY, "top1"]
    differences = np.array(own[:3]) - np.array(plain)
    assert found.value == pytest.approx(differences.mean())
    assert found.error == pytest.approx(differences.std(ddof=1) / math.sqrt(3))
    expected = stats.t.interval(0.95, 2, found.value, found.error)
    assert (found.low, found.high) == pytest.approx(expected)


def test_accuracy_needs_plain_and_a_second_seed(said):
    lonely = said(*accuracies([90.0, 91.0], []))[ACCURACY, "top1"]
    assert lonely.value is None and "plain" in lonely.reason
    single = said(*accuracies([90.0], [89.0]))[ACCURACY, "top1"]
    assert single.value is None and "one seed" in single.reason


@pytest.mark.parametrize("record", [cost, latency])
def test_what_failed_says_why(said, record):
    bad = record(1, status="failed", reason="ImportError: no se\nmore", samples=[])
    found = said(bad)
    assert found[bad.case, "status"].value == "failed"
    metric = "params" if record is cost else "overhead"
    assert found[bad.case, metric].reason == "failed: ImportError: no se"


def group(said, metric, record, **changes):
    return said(record, **changes)[record.case, metric].group


def test_counts_compare_across_machines_and_times_do_not(said, tmp_path):
    other = {"processor": "Intel", "cores": 4}
    assert group(said, "params", cost(1)) == group(said, "params", cost(1), machine=other)
    assert group(said, "overhead", latency(1)) != group(said, "overhead", latency(1), machine=other)
    assert group(said, "peak_bytes", latency(1)) == group(
        said, "peak_bytes", latency(1), machine=other
    )


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"python": "3.11.7", "torch": "2.1"}, {"python": "3.11.9", "torch": "2.1"}, True),
        ({"python": "3.11.7", "torch": "2.1"}, {"python": "3.12.0", "torch": "2.1"}, False),
        ({"python": "3.11.7", "torch": "2.1"}, {"python": "3.11.7", "torch": "2.2"}, False),
    ],
)
def test_versions_of_the_runtime(said, old, new, same):
    groups = [
        group(said, "overhead", latency(1, runtime={"versions": one, "fallbacks": {}}))
        for one in (old, new)
    ]
    assert (groups[0] == groups[1]) is same
