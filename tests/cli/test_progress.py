"""Both progress displays, over a whole run of them."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from attnbench.cli.progress import BarProgress, LineProgress, cut_left, format_elapsed, progress
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


class Terminal(io.StringIO):
    """Standard error of a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("term", "kind"), [("xterm", BarProgress), ("dumb", LineProgress)])
def test_a_bar_on_a_terminal_that_can_show_it(term, kind, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("attnbench.cli.progress.sys.stderr", Terminal())
    assert isinstance(progress(), kind)


@pytest.fixture
def bar(monkeypatch):
    """A bar at 80 columns with a clock of the test; ``bar()`` is its line."""
    now = SimpleNamespace(s=0.0)
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr("attnbench.cli.progress.console", lambda stream: screen)
    monkeypatch.setattr("attnbench.runner.eta.TimeLeft.__init__.__defaults__", (lambda: now.s,))
    shown = BarProgress()

    def line():
        page = Console(file=io.StringIO(), width=80)
        page.print(shown._bar.get_renderable())
        return page.file.getvalue().rstrip("\n")

    shown.line, shown.now = line, now
    yield shown
    shown.end()


def test_at_80_columns_bar_count_and_time_stay_and_the_step_is_cut_at_its_left(bar):
    own = job("eager", "compile")
    bar.begin(own)
    timed = own.cases[-1]
    bar.now.s = 12.0
    bar.step(timed, f"{timed.name}: timing 3 arms, process 1 of 3, 10 s", 0.0)
    line = bar.line()
    assert len(line) <= 80 and "\n" not in line
    assert "0/8 0:12, at least 60 s left …" in line
    assert line.endswith("process 1 of 3, 10 s")
    bar.now.s = 70.0
    assert "0/8 1:10, at least 2 s left …" in bar.line()
    bar.now.s = 75.0
    assert "0/8 1:15, longer than the 72 s of sampling …" in bar.line()


@pytest.mark.parametrize(
    ("width", "text"), [(9, "abcdefghi"), (5, "…fghi"), (1, ""), (0, ""), (-4, "")]
)
def test_texts_are_cut_at_the_left(width, text):
    assert cut_left("abcdefghi", width) == text


@pytest.mark.parametrize(("seconds", "text"), [(7.9, "0:07"), (760, "12:40"), (3723, "1:02:03")])
def test_elapsed_time(seconds, text):
    assert format_elapsed(seconds) == text
