"""What is shown of a history, as tables, as a document, as a picture and for another tool."""

import csv
import io
import json

import pytest

from attnbench.errors import RequestError
from attnbench.regression.history import github_benchmark
from attnbench.regression.history.figure import draw_history
from attnbench.regression.history.report import report
from attnbench.regression.history.report_data import find_changes
from attnbench.regression.history.runs import HistoryEntry, read_history
from attnbench.regression.history.series import collect
from attnbench.reports.figures.figure_files import save
from attnbench.reports.tables.render import render

from .conftest import SE, accuracies, cost, latency


@pytest.fixture
def told(tmp_path, repository, keep, monkeypatch):
    """Twelve runs of every second commit: a step in time, one in parameters, and a failure."""
    monkeypatch.chdir(repository.root)
    hashes = repository.commits(24)[::2]
    for at, commit in enumerate(hashes):
        timed = latency(1.03 if at < 6 else 1.10, seed=at)
        if at == 6:
            timed = latency(1, status="failed", reason="boom", samples=[])
        counted = cost(10 if at < 4 else 12)
        trained = accuracies([90.0, 91.0, 92.5], [89.0, 90.5, 91.0])
        keep(f"r{at}", counted, timed, *trained, commit=commit[:12])
    history = read_history(tmp_path / "runs")
    return find_changes(history, collect(history)), [one[:7] for one in hashes]


def test_the_changes_with_their_commits(told):
    found, short = told
    text = render(report(found, "runs"), "md")
    rows = {
        (cells[1], cells[2]): cells
        for cells in ([cell.strip() for cell in line.split("|")] for line in text.splitlines())
        if len(cells) > 7
    }
    params = rows[f"cost/{SE}", "params"]
    assert params[3:6] == ["10", "12", "**+2**"]
    assert params[6] == f"{short[4]} change 8"
    assert params[7] == f"{short[3]}..{short[4]} (2 commits)"
    overhead = rows[f"latency/{SE}/eager", "overhead"]
    assert overhead[6] == f"{short[7]} change 14"
    assert overhead[7].startswith(f"{short[5]}..{short[7]} (4 commits)")
    assert f"Runs between without a value: {short[6]} failed: boom" in text


def test_nothing_changed(keep, tmp_path):
    keep("a", cost(1))
    keep("b", cost(1))
    history = read_history(tmp_path / "runs")
    shown = report(find_changes(history, collect(history)), "runs")
    assert "Nothing changed." in shown.notes
    assert [table.title for table in shown.tables] == ["No change"]


def test_the_document(told):
    found, short = told
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["order"] == "git"
    assert [one["label"] for one in document["runs"]] == short
    series = {(one["case"], one["metric"]): one for one in document["series"]}
    overhead = series[f"latency/{SE}/eager", "overhead"]
    (change,) = overhead["changes"]
    assert change["low"] < 1.10 / 1.03 - 1 < change["high"]
    assert change["worse"] is True and change["subject"] == "change 14"
    assert change["commits"] == 4 and change["without_value"] == [
        {"run": short[6], "reason": "failed: boom"}
    ]
    assert len(overhead["points"]) == 11 and overhead["gaps"][0]["run"] == 6
    assert overhead["points"][0]["value"] == pytest.approx(0.03, abs=0.02)


def test_tidy_lines(told):
    found, short = told
    lines = list(csv.DictReader(io.StringIO(render(report(found, "runs"), "csv"))))
    params = [one for one in lines if one["metric"] == "params"]
    assert [one["value"] for one in params] == ["10"] * 4 + ["12"] * 8
    assert [one["label"] for one in params] == short
    assert [one["label"] for one in params if one["change"] == "True"] == [short[4]]


def test_what_github_action_benchmark_reads(told, tmp_path):
    found, short = told
    assert github_benchmark.write(found, tmp_path / "new" / "e.json") == len(
        github_benchmark.entries(found)
    )
    content = json.loads((tmp_path / "new" / "e.json").read_text())
    assert all(set(one) <= {"name", "unit", "value", "range", "extra"} for one in content)
    assert all(isinstance(one["value"], int | float) for one in content)
    entries = {one["name"]: one for one in content}
    assert len(entries) == len(content)
    assert entries[f"cost/{SE} params"]["value"] == 12
    assert "range" not in entries[f"cost/{SE} params"]
    overhead = entries[f"latency/{SE}/eager overhead"]
    assert overhead["value"] == pytest.approx(1.10, abs=0.02)
    assert overhead["range"].startswith("± 0.0") and short[-1] in overhead["extra"]
    # more accurate by 1 point on average: smaller is better
    assert entries[f"accuracy/{SE}/digits/digits top1"]["value"] == pytest.approx(99.0)


def test_a_value_of_an_earlier_commit_is_not_exported(keep, tmp_path):
    keep("a", cost(1))
    keep("b", cost(1, status="failed", reason="boom"))
    history = read_history(tmp_path / "runs")
    found = find_changes(history, collect(history))
    assert github_benchmark.entries(found) == []
    with pytest.raises(RequestError, match="--export"):
        github_benchmark.write(found, tmp_path / "e.json")


def test_the_picture(told, tmp_path):
    found, short = told
    figure = draw_history(found, "History of runs_$x$")
    texts = [one.get_text() for axes in figure.axes for one in axes.texts]
    assert f"+2\n{short[4]}" in texts
    assert any(text.endswith(f"%\n{short[7]}") for text in texts)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == f"cost/{SE}   params" and not any("macs" in one for one in titles)
    assert save(figure, tmp_path / "h.png").stat().st_size > 10_000


def test_runs_of_one_commit_have_their_dates(told, monkeypatch):
    found, short = told
    monkeypatch.setattr(HistoryEntry, "label", property(lambda entry: short[0]))
    monkeypatch.setattr(HistoryEntry, "date", property(lambda entry: "2026-03-04T05:06:07+00:00"))
    axes = draw_history(found, "t").axes
    names = {one.get_text() for one in axes[-1].get_xticklabels()}
    assert names == {f"{short[0][:7]} 03-04"}


def test_a_picture_of_no_numbers(keep, tmp_path):
    keep("a", cost(1, status="failed", reason="boom"))
    history = read_history(tmp_path / "runs")
    with pytest.raises(RequestError, match="no numbers"):
        draw_history(find_changes(history, collect(history)), "")
