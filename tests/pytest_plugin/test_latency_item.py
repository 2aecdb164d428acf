"""Latency cases through the real pytest-benchmark. No figure of theirs decides a test."""

import json

import pytest

from attnbench.stats.verdict import LatencyRule

CASE = "latency/alone/gate/16x8x8/eager"
VERDICTS = ("slower", "faster", "same", "inconclusive")


def test_the_json_has_both_figures(project):
    project.suite(latency=True)
    result = project("suite.toml", "--benchmark-json=out.json")
    result.assert_outcomes(passed=2)
    (one,) = json.loads((project.path / "out.json").read_text())["benchmarks"]
    assert one["name"] == CASE
    assert one["fullname"] == f"suite.toml::{CASE}"
    assert one["group"] == "alone/plain/16x8x8/eager"
    assert one["stats"]["rounds"] >= 5
    info = one["extra_info"]
    assert (info["case"], info["params"], info["macs"]) == (CASE, 272, 16384)
    assert 0 < info["ratio_low"] <= info["ratio"] <= info["ratio_high"]
    assert info["verdict"] in VERDICTS
    assert info["floor"] > 0
    assert info["pairs"] >= LatencyRule().fewest_pairs
    assert info["trust"]


def test_the_ratio_is_said_and_tabled(project):
    project.suite(latency=True)
    result = project("suite.toml")
    result.stdout.fnmatch_lines(
        [f"{CASE}: ratio * (*-*), *", "*benchmark*alone/plain/16x8x8/eager*1 tests*", f"{CASE}*"]
    )


def test_the_baseline_s_times_are_not_compared(project):
    project.suite(latency=True)
    project.baseline({CASE: {"median_s": 1.0}})
    project("suite.toml", "--attnbench-baseline", "base", "-k", "latency").assert_outcomes(
        passed=1, deselected=2
    )


@pytest.mark.parametrize(
    ("option", "outcomes"),
    [
        ("--benchmark-disable", {"passed": 2}),
        ("--benchmark-skip", {"passed": 1, "skipped": 1}),
        ("--benchmark-only", {"passed": 1, "skipped": 1}),
    ],
)
def test_the_options_of_pytest_benchmark_work(project, option, outcomes):
    project.suite(latency=True)
    result = project("suite.toml", option, "-v")
    result.assert_outcomes(**outcomes)
    timed = option == "--benchmark-only"
    assert (f"{CASE}: ratio" in result.stdout.str()) is timed
    done = "SKIPPED" if option == "--benchmark-skip" else "PASSED"
    result.stdout.fnmatch_lines([f"suite.toml::{CASE} {done}*"])


def test_save_and_compare(project):
    project.suite(latency=True)
    project("suite.toml", "--benchmark-save=first").assert_outcomes(passed=2)
    result = project("suite.toml", "--benchmark-compare", "--benchmark-columns=min")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random([f"{CASE}*(NOW)*", f"{CASE}*(0001_first)*"])


def test_a_module_that_cannot_run_fails_in_a_line(project):
    project.suite(latency=True)
    path = project.path / "gate.py"
    path.write_text(
        path.read_text().replace("return x * self.conv(x)", "raise ValueError('no luck')")
    )
    result = project("suite.toml", "-k", "latency")
    result.assert_outcomes(failed=1, deselected=1)  # warnings are errors there: none was given
    result.stdout.fnmatch_lines(["gate fails on (1, 16, 8, 8): ValueError: no luck"])
    result.stdout.no_fnmatch_line("*.py:[0-9]*")


def test_a_fused_form_with_another_output_fails(project):
    project.suite(latency=True)
    path = project.path / "gate.py"
    path.write_text(path.read_text() + "\n    def fuse(self):\n        return nn.Identity()\n")
    suite = project.path / "suite.toml"
    suite.write_text(suite.read_text() + 'forms = ["fused"]\n')
    result = project("suite.toml", "-k", "latency")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*output differs from eager's by *"])


def test_a_runtime_that_is_not_installed_skips(project, monkeypatch):
    project.suite(latency=True)
    monkeypatch.setattr(
        "attnbench.runtimes.eager.Eager.missing",
        lambda self: "eager is not installed: pip install it",
    )
    result = project("suite.toml", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*eager is not installed: pip install it"])


def test_torch_is_left_as_it_was(project):
    import torch

    project.suite(latency=True)
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        project("suite.toml").assert_outcomes(passed=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_pytest_benchmark_only_costs_are_collected(project, monkeypatch):
    project.suite(latency=True)
    result = project.apart(monkeypatch, "suite.toml", "-p", "no:benchmark", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["suite.toml::cost/alone/gate/16x8x8 PASSED*"])
    result.stdout.no_fnmatch_line("*latency*")


def test_xdist_disables_benchmarks_and_the_items_pass(project, monkeypatch):
    project.suite("gate", "se", latency=True)
    project.baseline({"cost/alone/gate/16x8x8": {"params": 1}})
    result = project.apart(
        monkeypatch, "-n", "1", "suite.toml", "--attnbench-baseline", "base", "-W", "default"
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "  params: 1 -> 272 *",
            "new, not in the baseline, nothing was compared: cost/alone/se/16x8x8",
        ]
    )
    result.stdout.no_fnmatch_line("*: ratio*")
    result.stderr.fnmatch_lines(
        ["*Benchmarks are automatically disabled because xdist plugin is active*"]
    )
