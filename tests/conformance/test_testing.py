"""The test class of plugin authors, in projects of theirs."""

import pytest

from attnbench.conformance import checks
from attnbench.conformance.checks import CHECKS, Check
from attnbench.conformance.findings import note, skip, success

HEAD = """
import torch
from torch import nn
from attnbench.testing import ModuleConformance

class Gate(nn.Module):
    def __init__(self, channels, *, kernel=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, x):
        return x * self.conv(x).sigmoid()

class Mixes(Gate):
    def forward(self, x):
        return x * self.conv(x).softmax(0)

def factory(channels, *, kernel=3):
    return Gate(channels, kernel=kernel)
"""


@pytest.fixture(autouse=True)
def few_checks(monkeypatch):
    """The checks are tested elsewhere: two that are quick, and a deep one."""
    few = {name: CHECKS[name] for name in ("batch_independence", "batch_one", "onnx")}
    monkeypatch.setattr(checks, "CHECKS", few)
    return few


@pytest.fixture
def stub(few_checks, monkeypatch):
    """Put in a check that finds what it is told."""

    def put(*found, deep=False):
        name = "stub_deep" if deep else "stub"
        few_checks[name] = Check(name, "is a stub", "nowhere", deep)
        run = Check.run
        monkeypatch.setattr(
            Check, "run", lambda own, at: list(found) if own.name == name else run(own, at)
        )
        return name

    return put


@pytest.mark.parametrize(
    "module",
    [
        "module = Gate",
        "module = factory",
        "module = staticmethod(factory)",
        "module = lambda channels: Gate(channels)",
        "module = Gate; options = {'kernel': 3}",
        "module = 'se'",
        "module = 'se,reduction=8'",
        "module = 'se'; options = {'reduction': 8}",
        "module = 'test_it:Gate'",
    ],
)
def test_a_sound_module_passes(project, module):
    result = project(f"{HEAD}\nclass TestIt(ModuleConformance):\n    {module}\n", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::TestIt::test_conformance[[]batch_independence] PASSED*"])


def test_a_broken_module_fails_with_reason_and_remedy_and_none_of_our_frames(project):
    result = project(f"{HEAD}\nclass TestIt(ModuleConformance):\n    module = Mixes\n")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*in eval an image's output depends on the others*", "do: Reduce, normalise and split*"]
    )
    text = result.stdout.str()
    assert "Traceback" not in text and "testing.py" not in text and "run_check" not in text


def test_exceptions_excuse_and_stand_in_a_section(project):
    text = f"""{HEAD}
class TestIt(ModuleConformance):
    module = Mixes
    exceptions = {{"batch_independence": "it is meant to compare images"}}
"""
    result = project(text, "-rA")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*Captured attnbench call*", "declared: *(declared: it is meant to*"]
    )


def test_notes_are_no_warnings_and_stand_in_the_report(project, stub):
    stub(note("the card has no formula", "Add one."), success(error=0.5))
    result = project(
        f"{HEAD}\nclass TestIt(ModuleConformance):\n    module = Gate\n",
        "-rP",
        "--junitxml=out.xml",
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*Captured attnbench call*", "note: the card has no formula", "do: Add one."]
    )


def test_what_cannot_be_checked_is_skipped_with_the_reason(project, stub):
    stub(skip("OpenVINO is not installed", "pip install it"))
    result = project(f"{HEAD}\nclass TestIt(ModuleConformance):\n    module = Gate\n", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*OpenVINO is not installed do: pip install it"])


def test_deep_is_off_unless_asked_for_also_by_a_mixin(project, stub):
    stub(note("deep"), deep=True)
    text = f"""{HEAD}
class Deep:
    deep = True

class TestQuick(ModuleConformance):
    module = Gate

class TestDeep(Deep, TestQuick):
    options = {{"kernel": 3}}
"""
    result = project(text, "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [f"test_it.py::{one}]" for one in (
            "TestQuick::test_conformance[[]batch_independence", "TestQuick::test_conformance[[]batch_one",
            "TestDeep::test_conformance[[]batch_independence", "TestDeep::test_conformance[[]batch_one",
            "TestDeep::test_conformance[[]onnx", "TestDeep::test_conformance[[]stub_deep",
        )] + ["", "6 tests collected*"],
        consecutive=True,
    )  # fmt: skip


def test_tests_of_the_class_s_own_go_on_working(project):
    text = f"""{HEAD}
import pytest

class TestIt(ModuleConformance):
    module = Gate

    @pytest.fixture
    def check(self):
        return "mine"

    @pytest.mark.parametrize("size", [1, 2])
    def test_mine(self, check, size):
        assert check == "mine" and type(self).module(4)(torch.ones(1, 4, size, size)).shape[2] == size
"""
    project(text).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("pass", "TestIt.module is not set: *"),
        ("module = 3", "TestIt.module is a int: neither a name nor a class"),
        ("module = Gate; exceptions = {'batch_on': 'x'}", "*unknown check 'batch_on'*Did you mean 'batch_one'*"),
        ("module = Gate; exceptions = {'batch_one': ' '}", "*'batch_one' has no reason"),
        ("module = 'sse'", "unknown module 'sse'. Did you mean *'se'*"),
        ("module = Gate; options = {'kernl': 3}", "*Gate has no option 'kernl'*Did you mean 'kernel'*"),
        ("module = Gate(4)", "*it is a module already built; register the class*"),
        ("module = 'gone.py:Gate'", "plugin file 'gone.py' does not exist"),
    ],
)  # fmt: skip
def test_a_class_that_is_not_set_up_says_so(project, attributes, words):
    result = project(
        f"{HEAD}\nclass TestIt(ModuleConformance):\n    {attributes}\n", "-k", "class or batch_one"
    )
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes().get("deselected", 0))
    result.stdout.fnmatch_lines([words])
    assert "Traceback" not in result.stdout.str() and "testing.py" not in result.stdout.str()


def test_names_of_the_project_s_plugin_files_are_known(project, pytester):
    pytester.makepyfile(
        mine=HEAD.replace("class Gate", "import attnbench\n@attnbench.register('mine')\nclass Gate")
    )
    with (pytester.path / "pyproject.toml").open("a") as file:
        file.write("\n[tool.attnbench]\nplugins = ['mine.py']\n")
    text = "from attnbench.testing import ModuleConformance\nclass TestIt(ModuleConformance):\n    module = 'mine'\n"
    project(text).assert_outcomes(passed=2)


def test_side_by_side_in_processes(project, pytester):
    """With pytest-xdist, whose processes must all collect the same tests in the same order."""
    pytester.makepyfile(
        test_it=f"{HEAD}\nclass TestIt(ModuleConformance):\n    module = Mixes\n    deep = True\n"
    )
    result = pytester.runpytest_subprocess("-p", "xdist", "-n", "1", "-k", "batch")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["do: Reduce, normalise and split*"])
