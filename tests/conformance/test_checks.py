"""The table of checks."""

import sys
from importlib import import_module

import pytest

from attnbench.conformance.checks import CHECKS, default_checks


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_every_check_has_its_function(check):
    function = getattr(import_module(f"attnbench.conformance.{check.place}"), check.name)
    assert callable(function)
    assert function.__doc__


def test_deep_checks_come_last():
    assert default_checks(deep=True)[: len(default_checks())] == default_checks()
    assert len(default_checks(deep=True)) == len(CHECKS) > len(default_checks())


def test_a_check_whose_code_is_missing_says_so(monkeypatch):
    from attnbench.conformance.checks import Check

    for lost in (Check("maps", "", "nowhere"), Check("nothing", "", "batch_independence")):
        (found,) = lost.run(None)
        assert found.status == "skipped" and f"has no {lost.name}" in found.reason and found.remedy
    # what a check's own file cannot import is another matter
    monkeypatch.setitem(sys.modules, "attnbench.conformance.module_under_test", None)
    monkeypatch.delitem(sys.modules, "attnbench.conformance.batch_independence", raising=False)
    with pytest.raises(ModuleNotFoundError):
        Check("batch_one", "", "batch_independence").run(None)
