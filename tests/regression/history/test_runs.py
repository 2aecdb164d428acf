"""Which runs are found below a folder, and in which order."""

import pytest

from attnbench.errors import RecordError, RequestError
from attnbench.regression.history.runs import read_history

from .conftest import cost


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def labels(history):
    return [one.label for one in history.entries]


def test_the_order_of_commits_whatever_the_folders(tmp_path, repository, keep, monkeypatch):
    hashes = repository.commits(4)
    for name, at in (("z", 0), ("m", 1), ("a", 2), ("b", 3)):
        keep(name, cost(1), commit=hashes[at][:12], date="2020-01-01T00:00:00+00:00")
    monkeypatch.chdir(repository.root)
    history = read_history(tmp_path / "runs")
    assert history.order == "git" and history.notes == ()
    assert [one.folder for one in history.entries] == ["z/mine", "m/mine", "a/mine", "b/mine"]
    assert [one.commit.hash for one in history.entries] == hashes


def test_runs_may_lie_in_the_repository(repository, keep, tmp_path):
    hashes = repository.commits(2)
    for name, one in (("b", hashes[0]), ("a", hashes[1])):
        keep(name, cost(1), commit=one)
    (tmp_path / "runs").rename(repository.root / "runs")
    assert read_history(repository.root / "runs").order == "git"


def test_a_folder_named_after_a_commit_says_more_than_the_header(
    tmp_path, repository, keep, monkeypatch
):
    """Attnbench's own commit stands in the header; the project's is what the user named."""
    hashes = repository.commits(3)
    for one in hashes:
        keep(one[:10], cost(1), commit="1234567890ab")
    monkeypatch.chdir(repository.root)
    history = read_history(tmp_path / "runs")
    assert [one.commit.hash for one in history.entries] == hashes


def test_a_changed_checkout_comes_after_its_commit(tmp_path, repository, keep, monkeypatch):
    hashes = repository.commits(2)
    for name, commit in (("a", f"{hashes[0]}+"), ("b", hashes[0]), ("c", hashes[1])):
        keep(name, cost(1), commit=commit)
    monkeypatch.chdir(repository.root)
    short = [one[:7] for one in hashes]
    assert labels(read_history(tmp_path / "runs")) == [short[0], f"{short[0]}+", short[1]]


def test_commits_that_git_does_not_know_are_left_out_by_name(
    tmp_path, repository, keep, monkeypatch
):
    hashes = repository.commits(2)
    for name, commit in (("a", hashes[0]), ("b", "0123456789ab"), ("c", hashes[1])):
        keep(name, cost(1), commit=commit)
    monkeypatch.chdir(repository.root)
    history = read_history(tmp_path / "runs")
    assert len(history.entries) == 2
    assert "0123456789ab" in history.notes[0] and "unshallow" in history.notes[0]


def test_without_git_the_dates(tmp_path, keep):
    keep("a", cost(1), date="2026-03-02T10:00:00+00:00")
    keep("b", cost(1), date="2026-03-01T10:00:00+00:00")
    history = read_history(tmp_path / "runs")
    assert history.order == "date"
    assert [one.folder for one in history.entries] == ["b/mine", "a/mine"]
    assert "order of date" in history.notes[0]


def test_without_dates_the_natural_order_of_names(tmp_path, keep):
    for name in ("run10", "run9", "run1"):
        keep(name, cost(1))
    keep("run9b", cost(1), date="2026-03-01T10:00:00+00:00")
    history = read_history(tmp_path / "runs")
    assert history.order == "name"
    assert labels(history) == ["run1/mine", "run9/mine", "run9b/mine", "run10/mine"]
    assert "order of folder name" in history.notes[0] and "name no commit" in history.notes[0]


def test_both_layouts_and_a_run_itself(tmp_path, keep):
    path = keep("a", cost(1))
    keep("deep/er/b", cost(1))
    assert len(read_history(tmp_path / "runs").entries) == 2
    assert labels(read_history(path.parent)) == ["."]


def test_a_damaged_run_is_named_and_the_others_stay(tmp_path, keep):
    keep("a", cost(1))
    keep("b", cost(1)).write_text("not a record\n")
    keep("c", cost(1))
    history = read_history(tmp_path / "runs")
    assert labels(history) == ["a/mine", "c/mine"]
    assert "b/mine/records.jsonl:1" in history.notes[0]


def test_nothing_but_damage(tmp_path, keep):
    keep("a", cost(1)).write_text("not a record\n")
    with pytest.raises(RecordError, match="all 1 runs"):
        read_history(tmp_path / "runs")


def test_no_run_and_no_folder(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(RecordError, match=r"records.jsonl: got results.* attnbench run --out"):
        read_history(tmp_path / "results")
    with pytest.raises(RequestError, match=r"folder .*reslts\. Did you mean 'results'"):
        read_history(tmp_path / "reslts")
