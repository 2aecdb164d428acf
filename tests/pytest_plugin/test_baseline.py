"""Costs against the committed records, and the cases that records tell of."""

import pytest

from attnbench.pytest_plugin.baseline import CostBaseline
from attnbench.regression.compare.gates import Gates

CASE = "cost/alone/gate/16x8x8"
# of Gate on 16x8x8, by hand: a 1x1 convolution with bias and a product, 4 bytes a number
AREA = 8 * 8
PARAMS = 16 * 16 + 16
MACS = 16 * 16 * AREA
BYTES = 4 * ((16 * AREA + PARAMS + 16 * AREA) + (16 * AREA + 16 * AREA + 16 * AREA))
VALUES = {"params": PARAMS, "macs": MACS, "activations": 16 * AREA, "bytes": BYTES}


def test_equal_to_the_baseline(project):
    project.settings("baseline = 'base'")
    project.baseline({CASE: VALUES})
    result = project("suite.toml", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"suite.toml::{CASE} PASSED*", "suite.toml::baseline PASSED*"])
    result.stdout.no_fnmatch_line("*compared*")


@pytest.mark.parametrize(
    ("metric", "off", "line"),
    [
        ("params", 72, "  params: 200 -> 272 (+72, +36.00%)"),
        ("macs", 1, "  macs: 16,383 -> 16,384 (+1, +0.01%)"),
        ("activations", -1024, "  activations: 2,048 -> 1,024 (-1,024, -50.00%)"),
        ("bytes", 21568, "  bytes: 0 -> 21,568 (+21,568)"),
    ],
)
def test_another_figure_fails_in_a_few_lines(project, metric, off, line):
    project.baseline({CASE: VALUES | {metric: VALUES[metric] - off}})
    result = project("suite.toml", "--attnbench-baseline", "base")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"{CASE} differs from the baseline:",
            line,
            "If this is intended: attnbench run suite.toml, then attnbench accept base/mine "
            f"attnbench-results/mine {CASE} --reason TEXT. attnbench compare base/mine "
            "attnbench-results/mine lists all differences",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*.py:[0-9]*")


def test_figures_that_one_side_lacks_are_not_compared(project):
    project.baseline({CASE: {"params": PARAMS, "macs": None, "later": 7}})
    project("suite.toml", "--attnbench-baseline", "base").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("gate", "outcomes"),
    [
        ("'ignore'", {"passed": 2}),
        ("'exact'", {"passed": 1, "failed": 1}),
        ("0.25", {"passed": 2}),  # from 256 by 16: a sixteenth
        ("0.0625", {"passed": 2}),
        ("0.0624", {"passed": 1, "failed": 1}),
    ],
)
def test_the_gates_of_the_settings_hold(project, gate, outcomes):
    project.settings(f"gates = {{params = {gate}}}")
    project.baseline({CASE: VALUES | {"params": PARAMS - 16}})
    project("suite.toml", "--attnbench-baseline", "base").assert_outcomes(**outcomes)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no baseline: nothing was compared. *--attnbench-baseline DIR*[[]tool.attnbench[]]"),
        (
            ("--attnbench-baseline", "base"),
            "no baseline at base/mine/records.jsonl: nothing was compared",
        ),
    ],
)
def test_without_a_baseline_it_says_so_once(project, pytester, words, said):
    pytester.mkdir("base")
    project.suite("gate", "se")
    result = project("suite.toml", *words)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([said])
    assert result.stdout.str().count("nothing was compared") == 1


def test_a_case_that_the_baseline_does_not_know_is_said(project):
    project.suite("gate", "se")
    project.baseline({CASE: VALUES})
    result = project("suite.toml", "--attnbench-baseline", "base")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["new, not in the baseline, nothing was compared: cost/alone/se/16x8x8"]
    )


def test_a_case_that_failed_in_the_baseline_is_said(project):
    project.baseline({CASE: {}}, status="failed", reason="no such luck")
    result = project("suite.toml", "--attnbench-baseline", "base")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"{CASE}: nothing was compared, the baseline's is failed"])


def test_a_renamed_case_fails_and_is_told_its_new_name(project):
    project.suite("gate,kernel=3", "se")
    project.baseline({CASE: VALUES})
    result = project("suite.toml", "--attnbench-baseline", "base")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "1 case of the baseline not in suite.toml:",
            f"  {CASE}, now perhaps cost/alone/gate,kernel=3/16x8x8 or cost/alone/se/16x8x8",
            "If *attnbench accept base/mine attnbench-results/mine --reason TEXT*",
            "FAILED suite.toml::baseline*",
        ]
    )


def test_a_removed_module_fails_for_each_of_its_cases(project):
    project.suite("se")
    kept = {"cost/alone/se/16x8x8": {"params": (16 + 1) + (16 + 16)}}
    project.baseline({CASE: VALUES, "cost/mobilenet_v2/gate/after:11": VALUES, **kept})
    result = project("suite.toml", "--attnbench-baseline", "base")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["2 cases of the baseline not in suite.toml:"])
    result.stdout.fnmatch_lines([f"  {CASE}*", "  cost/mobilenet_v2/gate/after:11"])


def test_cases_of_other_kinds_in_the_baseline_are_not_gone(project):
    project.suite(latency=True)
    project.baseline({"latency/alone/gate/16x8x8/eager": VALUES})
    result = project("suite.toml", "--attnbench-baseline", "base", "-k", "baseline")
    result.assert_outcomes(passed=1, deselected=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "{\n" + text, "1 is damaged*"),
        (lambda text: text.replace('"ok"', "3"), "2: damaged record is left out: status: *"),
    ],
)
def test_a_damaged_baseline_is_a_collection_error_in_a_line(project, change, said):
    project.baseline({CASE: VALUES})
    path = project.path / "base" / "mine" / "records.jsonl"
    path.write_text(change(path.read_text()))
    result = project("suite.toml", "--attnbench-baseline", "base")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"base/mine/records.jsonl:{said}"])
    result.stdout.no_fnmatch_line("*.py:[0-9]*")


def test_a_module_that_cannot_run_fails_in_a_line(project):
    path = project.path / "gate.py"
    path.write_text(
        path.read_text().replace("return x * self.conv(x)", "raise ValueError('no luck')")
    )
    result = project("suite.toml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["gate fails on (1, 16, 8, 8): *ValueError: no luck"])
    result.stdout.no_fnmatch_line("*.py:[0-9]*")


def test_a_placement_that_cannot_be_fails_its_case_alone(project):
    path = project.path / "suite.toml"
    row = '[[table.row]]\nbackbone = "mobilenet_v2,width=0.35"\nsize = 32\nmodule = "gate"\nplacement = "after:99"\n'
    path.write_text(path.read_text() + row)
    result = project("suite.toml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*99*"])
    result.stdout.no_fnmatch_line("*.py:[0-9]*")


def test_a_shipped_suite_is_called_by_its_name(tmp_path):
    baseline = CostBaseline("quick", "quick", tmp_path / "records.jsonl", None, Gates({}), "out/")
    with pytest.raises(pytest.fail.Exception) as failure:
        baseline.fail("differs:", ["  params"], "cost/x")
    remedy = failure.value.msg.splitlines()[2]
    assert "attnbench run quick, then attnbench accept " in remedy
    assert "out/quick cost/x --reason TEXT" in remedy


def test_a_folder_that_is_not_there_is_an_error(project):
    result = project("suite.toml", "--attnbench-baseline", "bsae")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*--attnbench-baseline*'bsae'"])
    assert "Traceback" not in result.stdout.str()


def test_so_it_is_for_a_shipped_suite(project):
    result = project("--attnbench", "ulsam-table1", "--attnbench-baseline", "bsae")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--attnbench-baseline*'bsae'*"])
