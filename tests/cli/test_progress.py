"""Both progress displays, over a whole run of them."""

from types import SimpleNamespace

import pytest

from attnbench.cli.progress import BarProgress, LineProgress, progress
from attnbench.registry.plugins import catalog
from attnbench.runner.job import Job
from attnbench.runner.latency_sessions import SessionProtocol
from attnbench.suites.case import Conditions
from attnbench.suites.plan import make_case


def job(*runtimes, done=1):
    """A job of three cost cases, one of them done, and a latency session for each runtime."""
    cost = [
        make_case(catalog(), backbone="mobilenet_v2", module=module, placement="after:5")
        for module in ("se", "cbam", "bam")
    ]
    timed = [case.for_latency(Conditions(runtime)) for runtime in runtimes for case in cost]
    suite = SimpleNamespace(suite=SimpleNamespace(name="mine", memory_gib=None))
    return Job(
        suite=suite,
        tables=[],
        cases=[*cost, *timed],
        hashes={},
        folder=None,
        done={case.name: None for case in cost[:done]},
        protocols={case.name: SessionProtocol(10.0, 3) for case in timed},
    )


@pytest.mark.parametrize("display", [BarProgress, LineProgress])
def test_a_run_is_followed_on_standard_error(display, capsys):
    shown = display()
    own = job()
    shown.begin(own)
    for case in own.missing:
        shown.step(case, case.name)
        shown.done(SimpleNamespace(case=case.name, kind=case.kind, status="ok", seconds=0.5))
    shown.end()
    written = capsys.readouterr()
    assert written.out == ""
    assert "mine: 2 of 3 cases to measure, 1 already measured\n" in written.err


def test_what_takes_long_says_how_long_and_what_it_does(capsys):
    shown = LineProgress()
    own = job("eager", "compile")
    shown.begin(own)
    shown.step(own.cases[-1], "mobilenet_v2/plain/eager: timing 3 arms, process 1 of 3, 10 s")
    written = capsys.readouterr().err
    assert "mine: 8 of 9 cases to measure, 1 already measured; at least 60 s\n" in written
    assert "timing 3 arms, process 1 of 3" in written


def test_lines_where_there_is_no_terminal():
    assert isinstance(progress(), LineProgress)
