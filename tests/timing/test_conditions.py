"""Clocks, and what is held fixed while timing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from attnbench.timing.clock import WallClock
from attnbench.timing.isolation import quiet
from attnbench.timing.schedstat_clock import UnsharedClock, single_thread_clock


def test_wall_clock_calls_as_often_as_told():
    calls = []
    assert WallClock().time(lambda: calls.append(1), 5) > 0
    assert len(calls) == 5


def test_waiting_for_the_processor_is_not_counted(monkeypatch):
    """The kernel ran another program for 2 of 5 seconds, and once while the clock was read."""
    now = iter([10.0, 11.0, 16.0])
    waits = iter([1.0, 2.0, 2.0, 4.0, 4.0])
    monkeypatch.setattr("attnbench.timing.schedstat_clock.perf_counter", lambda: next(now))
    with UnsharedClock() as clock:
        monkeypatch.setattr(clock, "_waited", lambda: next(waits))
        assert clock.time(lambda: None, 1) == pytest.approx(3.0)


def test_single_thread_clock_here_and_elsewhere(monkeypatch):
    assert single_thread_clock().time(lambda: sum(range(1000)), 10) > 0
    monkeypatch.setattr("attnbench.timing.schedstat_clock._FILE", "/nonexistent")
    assert isinstance(single_thread_clock(), WallClock)


def test_quiet_holds_and_puts_back():
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
    code = "from attnbench.timing.malloc import keep_heap; print(keep_heap())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() in ("True", "False")
