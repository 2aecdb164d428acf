"""Tests that need a Debian package: skipped without it, and failed in CI."""

import pytest

from .debian_packages import REQUIRED_BY, require_program


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    for name in REQUIRED_BY:
        monkeypatch.delenv(name, raising=False)


def test_a_program_that_is_there_is_no_reason(monkeypatch):
    monkeypatch.setenv("CI", "1")
    require_program("sh")


def test_a_missing_program_skips():
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing"):
        require_program("no-such-program")


@pytest.mark.parametrize("variable", REQUIRED_BY)
def test_a_missing_program_fails_in_ci(variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(pytest.fail.Exception, match=r"\.ci/debian-packages\.txt"):
        require_program("no-such-program")
