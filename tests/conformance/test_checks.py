"""The table of checks."""

from importlib import import_module

import pytest

from attnbench.conformance.checks import CHECKS, chosen


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_every_check_has_its_function(check):
    function = getattr(import_module(f"attnbench.conformance.{check.place}"), check.name)
    assert callable(function)
    assert function.__doc__


def test_deep_checks_come_last():
    assert chosen(deep=True)[: len(chosen())] == chosen()
    assert len(chosen(deep=True)) == len(CHECKS) > len(chosen())
