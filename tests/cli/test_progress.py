"""Both progress displays, over a whole run of them."""

from types import SimpleNamespace

import pytest

from attnbench.cli.progress import BarProgress, LineProgress, progress


@pytest.mark.parametrize("display", [BarProgress, LineProgress])
def test_a_run_is_followed_on_standard_error(display, capsys):
    cases = [SimpleNamespace(name=f"cost/[x{n}]/se") for n in range(3)]
    suite = SimpleNamespace(suite=SimpleNamespace(name="mine"))
    job = SimpleNamespace(suite=suite, cases=cases, missing=cases[1:], done={"cost/[x0]/se": None})
    shown = display()
    shown.begin(job)
    for case in job.missing:
        shown.case(case)
        shown.done(SimpleNamespace(case=case.name, status="ok", seconds=0.5))
    shown.end()
    written = capsys.readouterr()
    assert written.out == ""
    assert "mine: 2 of 3 cases to measure, 1 already measured" in written.err


def test_lines_where_there_is_no_terminal():
    assert isinstance(progress(), LineProgress)
