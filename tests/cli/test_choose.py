"""``attnbench choose``: one small choice in eager mode, and its mistakes."""

from pathlib import Path

import pytest

NETWORK = ("choose", "-b", "mobilenet_v3_small", "--size", 32)
SMALL = (*NETWORK, "--modules", "eca", "--places", "after:11")


def test_a_choice_is_measured_kept_and_shown_by_table(attnbench, worker_here, monkeypatch):
    monkeypatch.setattr("attnbench.choosing.answer.is_available", lambda conditions: False)
    monkeypatch.setattr("attnbench.choosing.measurement._SHARE", 1e-4)  # of 10 minutes
    first = attnbench(*SMALL, "--max-overhead", "99999%", "--json", "-o", "fig.svg")
    assert first.status == 0, first.err
    found = first.json
    assert found["candidates"] == {"all": 1, "within": 1, "screened": 1, "verified": 1}
    assert found["answer"] == found["rows"][0]
    row = found["answer"]
    assert row["module"] == "eca"
    assert row["placement"] == "after:11"
    assert row["sites"] == 1
    assert row["delta"]["params"] == 3  # log2(96) / 2 + 1 / 2 = 3.8, and the kernel is odd
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    assert row["drift"] > 0
    assert row["runtimes"] == ["eager"]
    assert row["accuracy"] is None
    assert row["command"] == (
        "attnbench latency -b mobilenet_v3_small -m eca -p after:11 --runtime eager --size 32x32"
    )

    again = attnbench(*SMALL, "--max-overhead", "99999%")
    assert again.status == 0
    assert "eca  after:11" in Path("fig.svg").read_text()
    assert "[1/" not in again.err  # nothing is measured anew
    assert "eca" in again.out
    assert "attnbench accuracy -b mobilenet_v3_small" in again.out

    folder = "attnbench-results/choose-mobilenet_v3_small-eager-32x32"
    table = attnbench("table", folder)
    assert "eca in features.10+features.11" in table.out
    assert "Whole networks, in eager" in table.out

    nothing = attnbench(*SMALL, "--max-overhead", "0%", "--max-params", "2", "--json")
    assert nothing.status == 1
    assert nothing.json["answer"] is None
    assert nothing.json["candidates"]["within"] == 0


def test_without_time_everything_is_not_screened(attnbench, worker_here):
    done = attnbench(*SMALL, "--max-overhead", "5%", "--budget", "0.001s", "--json")
    assert done.status == 1
    assert done.json["rows"] == []
    assert done.json["not_screened"] == ["eca"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--max-overhead", "5"), "--max-overhead is malformed: got '5'"),
        (("--max-overhead", "5%", "--budget", "soon"), "--budget is malformed: got 'soon'"),
        (("--max-overhead", "5%", "--modules", "sea"), "sea"),
        (("--max-overhead", "5%", "--places", "after:40"), "no layer 40"),
        (("--max-overhead", "5%", "--places", "sometimes"), "sometimes"),
        (("--max-overhead", "5%", "--runtime", "onnx"), "onnx"),
        (("--max-overhead", "5%", "--known", "none"), "no run at 'none'"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_measured(attnbench, words, named):
    done = attnbench(*NETWORK, *words)
    assert done.status == 2
    assert named in done.err
    assert done.out == ""
    assert len(done.err.splitlines()) <= 2
