"""Clocks of the CPU."""

from __future__ import annotations

import os

import pytest

from attnbench.timing.clock import UnsharedClock, WallClock, single_thread_clock


def test_wall_clock_calls_as_often_as_told():
    calls = []
    assert WallClock().time(lambda: calls.append(1), 5) > 0
    assert len(calls) == 5


def test_waiting_for_the_processor_is_not_counted(monkeypatch):
    """The kernel ran another program for 2 of 5 seconds, and once while the clock was read."""
    now = iter([10.0, 11.0, 16.0])
    waits = iter([1.0, 2.0, 2.0, 4.0, 4.0])
    monkeypatch.setattr("attnbench.timing.clock.perf_counter", lambda: next(now))
    clock = UnsharedClock()
    monkeypatch.setattr(clock, "_read", lambda _: next(waits))
    assert clock.time(lambda: None, 1) == pytest.approx(3.0)


def test_the_file_is_closed_with_the_clock():
    clock = UnsharedClock()
    file = clock._file
    del clock
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_single_thread_clock_here_and_elsewhere(monkeypatch):
    assert single_thread_clock().time(lambda: sum(range(1000)), 10) > 0
    monkeypatch.setattr("attnbench.timing.clock._FILE", "/nonexistent")
    assert type(single_thread_clock()) is WallClock
