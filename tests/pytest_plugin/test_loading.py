"""A project that does not use the plugin pays next to nothing."""

import pytest

CONFTEST = """
import json, sys

def pytest_unconfigure(config):
    json.dump(sorted(sys.modules), open("modules.json", "w"))
"""
HEAVY = (
    "torch",
    "pydantic",
    "pandas",
    "scipy",
    "numpy",
    "rich",
    "attnbench_modules",
    "attnbench_suites",
)


@pytest.fixture
def unused(pytester):
    """A project without a suite that is named; returns the modules that a run of it leaves."""
    import json

    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it="def test_it(): pass")
    pytester.makefile(".toml", suite="[suite]\nname = 'broken'\n")

    def run(*words):
        result = pytester.runpytest_subprocess("-p", "attnbench.pytest_plugin", *words)
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*attnbench*")
        return json.loads((pytester.path / "modules.json").read_text())

    return run


@pytest.mark.parametrize("words", [(), (".",), ("test_it.py",)])
def test_nothing_heavy_is_imported(unused, words):
    loaded = unused(*words)
    assert not {one.partition(".")[0] for one in loaded} & set(HEAVY)
    own = {name for name in loaded if name.startswith("attnbench")}
    assert own == {
        "attnbench",
        "attnbench.pytest_plugin",
        "attnbench.pytest_plugin.benchmark",
    }


def test_its_fixture_and_options_are_listed(pytester):
    result = pytester.runpytest_inprocess("-p", "attnbench.pytest_plugin", "--help")
    result.stdout.fnmatch_lines(
        ["*--attnbench=SUITE*", "*--attnbench-baseline=DIR*", "*--attnbench-budget=SECONDS*"]
    )
    result = pytester.runpytest_inprocess("-p", "attnbench.pytest_plugin", "--fixtures")
    result.stdout.fnmatch_lines(
        ["attention_benchmark*", "*Time an attention module against a baseline*"]
    )
