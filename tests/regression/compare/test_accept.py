"""Baselines that take over changes: what is in them afterwards, and that nothing is ever lost."""

import json
import os
import resource
import shutil
import stat
from pathlib import Path

import pytest
from filelock import FileLock

from attnbench.errors import RecordError, RequestError
from attnbench.records import store
from attnbench.records.store import read_run
from attnbench.regression.compare.accept import accept
from attnbench.regression.compare.compare_runs import compare

from .made import COST, header, record, write_run

WHY = "a bias was added"


@pytest.fixture
def base(tmp_path):
    return write_run(
        tmp_path / "base",
        header(versions={"torch": "1"}),
        record(COST),
        record("cost/b", values={"params": 7}),
        record("cost/gone"),
        record("cost/same"),
    )


@pytest.fixture
def new(tmp_path):
    return write_run(
        tmp_path / "new",
        header(versions={"torch": "2"}, commit="fedcba"),
        record(COST, values={"params": 1001, "macs": 50_000}, hash="2"),
        record("cost/b", values={"params": 8}),
        record("cost/same"),
        record("cost/more"),
    )


def test_a_named_case_takes_the_new_record_with_the_reason_and_what_was_there(base, new):
    before = read_run(base)
    assert accept(base, new, [COST], WHY) == (COST,)
    run = read_run(base)
    assert run.records[COST].values["params"] == 1001
    accepted = run.records[COST].accepted
    assert accepted["reason"] == WHY
    assert accepted["date"].startswith("20") and accepted["date"].endswith("+00:00")
    assert accepted["from"] == {
        "status": "ok", "reason": None, "hash": "1", "commit": "0123abcd",
        "values": {"params": 1000, "macs": 50_000},
    }  # fmt: skip
    others = set(before.records) - {COST}
    assert {name: run.records[name] for name in others} == {n: before.records[n] for n in others}
    assert run.header_of[COST].versions == {"torch": "2"}
    assert run.header_of["cost/b"].versions == {"torch": "1"}
    assert run.header.versions == {"torch": "1"}  # the same cases: the layout stays


def test_afterwards_it_is_unchanged_and_the_rest_is_as_it_was(base, new):
    first = compare(read_run(base), read_run(new))
    assert {one.case for one in first.regressions} == {COST, "cost/b"}
    accept(base, new, [COST], WHY)
    then = compare(read_run(base), read_run(new))
    assert {one.case for one in then.regressions} == {"cost/b"}
    assert then.missing == first.missing and then.added == first.added


def test_without_names_all_that_differ_are_accepted(base, new):
    assert set(accept(base, new, [], WHY)) == {COST, "cost/b", "cost/gone", "cost/more"}
    run = read_run(base)
    assert set(run.records) == {COST, "cost/b", "cost/same", "cost/more"}
    assert run.records["cost/same"].accepted is None
    assert run.records["cost/more"].accepted["from"] is None
    assert run.header.removed["cost/gone"]["reason"] == WHY
    assert run.header.removed["cost/gone"]["from"]["values"]["params"] == 1000
    assert not list(compare(run, read_run(new)).missing)
    assert accept(base, new, [], WHY) == ()


def test_why_a_case_left_stays_known(base, new, tmp_path):
    accept(base, new, ["cost/gone"], WHY)
    later = write_run(tmp_path / "later", header(), record(COST, values={"params": 5}))
    accept(base, later, [COST, "cost/b", "cost/same"], "smaller")
    assert any("cost/gone" in one.removed for one in read_run(base).headers)


def test_globs_stand_for_the_seeds_of_a_training(tmp_path):
    cases = [f"accuracy/net/se/digits,seed={seed}" for seed in range(3)]
    base = write_run(tmp_path / "a", header(), *map(record, cases))
    worse = [record(case, values={"top1": 10.0 + n / 10}) for n, case in enumerate(cases)]
    new = write_run(tmp_path / "b", header(), *worse)
    (one,) = compare(read_run(base), read_run(new)).regressions
    assert accept(base, new, [one.case], WHY) == tuple(cases)
    assert accept(base, new, [cases[0]], WHY) == (cases[0],)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_needed(base, new, reason):
    kept = base.read_bytes()
    with pytest.raises(RequestError, match="--reason"):
        accept(base, new, [COST], reason)
    assert base.read_bytes() == kept


def test_an_unknown_case_is_named_with_the_nearest(base, new):
    kept = base.read_bytes()
    with pytest.raises(
        RequestError, match=r"'cost/net/se/after:2'. Did you mean 'cost/net/se/after"
    ):
        accept(base, new, [COST, "cost/net/se/after:2"], WHY)
    assert base.read_bytes() == kept


def test_a_run_is_not_accepted_into_itself(base):
    with pytest.raises(RequestError, match="BASE and NEW"):
        accept(base, base.parent / ".." / "base" / base.name, [COST], WHY)


def test_other_lines_stay_byte_by_byte_with_keys_of_later_versions(base, new):
    lines = base.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | {"energy_j": 3})
    base.write_text("\n".join(lines) + "\n")
    accept(base, new, [COST], WHY)
    assert lines[2] in base.read_text().splitlines()


def test_a_torn_line_of_the_baseline_is_left_behind(base, new):
    base.write_bytes(base.read_bytes()[:-20])
    accept(base, new, [COST], WHY)
    assert "cost/same" not in read_run(base).records
    assert base.read_bytes().endswith(b"\n")


def test_an_old_format_takes_new_records(tmp_path, new):
    old = json.loads(header(format=1).model_dump_json(exclude={"removed"}))
    kept = {"case", "kind", "status", "hash", "conditions", "values"}
    base = write_run(tmp_path / "old", old, json.loads(record().model_dump_json(include=kept)))
    accept(base, new, [COST, "cost/more"], WHY)
    assert set(read_run(base).records) == {COST, "cost/more"}


def test_a_damaged_line_is_told_and_left(base, new):
    base.write_bytes(base.read_bytes() + b"garbage\n")
    kept = base.read_bytes()
    with pytest.raises(RecordError, match=r":6 is damaged"):
        accept(base, new, [COST], WHY)
    assert base.read_bytes() == kept


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["write_bytes", "copymode", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_baseline(base, new, monkeypatch, step):
    places = {
        "write_bytes": Path,
        "copymode": shutil,
        "fsync": os,
        "replace": Path,
    }
    monkeypatch.setattr(places[step], step, full)
    kept = base.read_bytes()
    with pytest.raises(RecordError, match=r"left as it was: .*No space left") as caught:
        accept(base, new, [COST], WHY)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert base.read_bytes() == kept
    assert {one.name for one in base.parent.iterdir()} <= {"records.jsonl", ".lock"}
    accept(base, new, [COST], WHY)


def test_a_write_that_ends_half_way_leaves_the_old_baseline(base, new):
    kept = base.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(RecordError, match=r"left as it was: .*File too large"):
            accept(base, new, [COST], WHY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert base.read_bytes() == kept
    assert {one.name for one in base.parent.iterdir()} <= {"records.jsonl", ".lock"}


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_kill_at_any_step_leaves_the_old_baseline(base, new, monkeypatch, step):
    def kill(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, step, kill)
    kept = base.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        accept(base, new, [COST], WHY)
    assert base.read_bytes() == kept


def test_a_folder_that_cannot_be_written(base, new, monkeypatch):
    kept = base.read_bytes()
    base.parent.chmod(0o500)
    if os.access(base.parent, os.W_OK):  # root may write anywhere

        def refused(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(store.FileLock, "acquire", refused)
    try:
        with pytest.raises(RecordError, match=r"left as it was: .*[Pp]ermission denied"):
            accept(base, new, [COST], WHY)
    finally:
        base.parent.chmod(0o700)
    assert base.read_bytes() == kept


def test_a_run_that_is_being_written_can_be_compared_but_not_changed(base, new):
    with FileLock(str(base.parent / ".lock")):
        assert compare(read_run(base), read_run(new)).regressions
        with pytest.raises(RecordError, match="a run is writing to"):
            accept(base, new, [COST], WHY)


def test_mode_and_links_are_kept(base, new, tmp_path):
    base.chmod(0o640)
    link = tmp_path / "link.jsonl"
    link.symlink_to(base)
    accept(link, new, [COST], WHY)
    assert link.is_symlink()
    assert stat.S_IMODE(base.stat().st_mode) == 0o640
    assert read_run(link).records[COST].hash == "2"
