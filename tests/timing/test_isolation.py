"""Conditions that are fixed while timing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from attnbench.timing.isolation import quiet


@pytest.fixture
def unfrozen():
    """The tests' process freezes what it has imported; a user's does not."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_quiet_holds_and_puts_back(unfrozen):
    affinity, frozen = os.sched_getaffinity(0), gc.get_freeze_count()
    with quiet(1) as fixed:
        assert not gc.isenabled()
        assert gc.get_freeze_count() > frozen
        assert sorted(os.sched_getaffinity(0)) == fixed["affinity"]
        assert len(fixed["affinity"]) == 1
    assert gc.isenabled()
    assert (os.sched_getaffinity(0), gc.get_freeze_count()) == (affinity, frozen)
    assert fixed == {"gc": "off", "threads": 1, "affinity": fixed["affinity"]}


def test_quiet_without_threads_leaves_the_affinity():
    with quiet() as fixed:
        assert fixed["affinity"] == sorted(os.sched_getaffinity(0))
    with quiet(10_000) as fixed:
        assert fixed["affinity"] == sorted(os.sched_getaffinity(0))


def test_quiet_puts_back_after_an_error_and_respects_what_was():
    gc.disable()
    try:
        with pytest.raises(ValueError, match="inside"), quiet(1):
            raise ValueError("inside")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_heap_is_kept_in_a_process_of_its_own():
    code = "from attnbench.timing.isolation import keep_heap; print(keep_heap())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() in ("True", "False")
