"""The table of checks."""

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
