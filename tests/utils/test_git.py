"""What git says of commits, and that its absence is no error."""

import pytest

from attnbench.utils import git
from attnbench.utils.git import is_hash


def test_commits_by_short_and_whole_hash(repository):
    first, second = repository.commits(2)
    found = git.repository(repository.root)
    known = found.commits([first, second[:9], "0" * 40, "--help", "main", "HEAD"])
    assert set(known) == {first, second[:9]}
    assert known[second[:9]].hash == second
    assert known[first].subject == "change 0"
    assert known[first].date.startswith("20")


def test_parents_come_first_whatever_the_dates(repository, monkeypatch):
    hashes = []
    for day in (9, 3, 7):  # clocks of three people
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"2024-01-0{day}T00:00:00Z")
        hashes.append(repository.commit(f"of day {day}"))
    assert git.repository(repository.root).sort_commits(reversed(hashes)) == hashes


def test_a_line_of_work_stays_together(repository):
    base = repository.commit("base")
    repository.git("checkout", "-q", "-b", "side")
    side = [repository.commit("side 1"), repository.commit("side 2")]
    repository.git("checkout", "-q", "main")
    main = [repository.commit("main 1"), repository.commit("main 2")]
    found = git.repository(repository.root).sort_commits([*main, base, *side])
    assert found[0] == base
    assert found[1:] in (side + main, main + side)


def test_how_many_commits_are_between(repository):
    hashes = repository.commits(5)
    found = git.repository(repository.root)
    assert found.between(hashes[1], hashes[4]) == 3
    assert found.between("0" * 40, hashes[4]) is None


def test_a_subject_steers_no_terminal(repository):
    head = repository.commit("red \x1b[31m and \u202e back")
    (commit,) = git.repository(repository.root).commits([head]).values()
    assert commit.subject == "red [31m and  back"


def test_no_repository_and_no_git(tmp_path, monkeypatch, repository):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert git.repository(tmp_path / "plain") is None
    assert git.repository(tmp_path / "not there") is None
    found = git.repository(repository.root)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.repository(repository.root) is None
    assert found.commits(["a" * 40]) == {} and found.sort_commits(["a" * 40]) == []


@pytest.mark.parametrize(
    ("text", "right"),
    [("a1b2c3d", True), ("f" * 40, True), ("abc12", False), ("a1b2c3g", False), ("A1B2C3D", False), ("", False)],
)  # fmt: skip
def test_what_may_be_a_hash(text, right):
    assert is_hash(text) is right
