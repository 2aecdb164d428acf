"""Archives: values come back exactly, and no kill, full disk or second writer loses any."""

import functools
import json
import os
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from attnbench.errors import RecordError
from attnbench.records import archive as archives
from attnbench.records.archive import ArchivedSamples, pack
from attnbench.records.merge import merge
from attnbench.records.store import FILE, RunWriter, read_lines, read_run, replace_run

from .test_store import header, record, written

DOCS = Path(__file__).parents[2] / "docs" / "records.md"
CASE = "latency/net/se/eager"
PLAIN = "latency/net/plain/eager"


def process(seed=0, rounds=30):
    drawn = random.Random(seed)

    def row():
        return [float(f"{drawn.lognormvariate(-6, 0.3):.5g}") for _ in range(rounds)]

    seconds = {PLAIN: row(), "baseline again": row(), CASE: row()}
    return {"baseline": PLAIN, "seconds": seconds, "calls": dict.fromkeys(seconds, 59)} | {
        "warmup_s": 0.5, "sampling_s": 2.0, "stopped": "budget", "dropped": 0, "conditions": {},
    }  # fmt: skip


def timed(case=CASE, seed=0, **changes):
    samples = [process(3 * seed + number) for number in range(3)]
    return record(case, kind="latency", values={"load_s": 0.1}, samples=samples, **changes)


def contents(path):
    """Every line of a run as JSON text, which tells integers and floats apart."""
    return [json.dumps(content) for _, _, content in read_lines(path)]


def text_of(*lines):
    return [json.dumps(json.loads(line.model_dump_json())) for line in lines]


def finish(folder, *lines):
    with RunWriter(folder) as writer:
        for line in lines:
            writer.append(line)
        return writer.finish()


def append(folder, *lines):
    """Append lines as a run does that is then killed."""
    with (folder / FILE).open("a") as file:
        file.writelines(line.model_dump_json() + "\n" for line in lines)
    return folder / FILE


def archives_in(folder):
    return sorted(folder.glob("*.npz"))


def names(folder):
    return {one.name for one in folder.iterdir()} - {".lock"}


LINES = (header(), timed(), record("cost/a"), timed("latency/b", 1))


def test_a_finished_run_has_its_samples_in_one_archive(tmp_path):
    run = finish(tmp_path, *LINES)
    (archive,) = archives_in(tmp_path)
    assert names(tmp_path) == {FILE, archive.name}
    first, *rest = (tmp_path / FILE).read_text().splitlines()
    assert json.loads(first) == {"format": 4, "archive": archive.name, "supersedes": []}
    assert all("seconds" not in json.loads(line).get("samples", {}) for line in rest)
    assert contents(tmp_path / FILE) == text_of(*LINES)
    assert run.records == {one.case: one for one in LINES[1:]} == read_run(run.path).records
    assert run.path == tmp_path / FILE
    assert not run.warning


def test_samples_are_read_on_access_only(tmp_path, monkeypatch):
    finish(tmp_path, *LINES)
    with monkeypatch.context() as patch:
        patch.setattr(archives.Archive, "samples", lambda *_: pytest.fail("read"))
        run = read_run(tmp_path / FILE)
        assert run.records["cost/a"].samples == []
        assert isinstance(run.records[CASE].samples, ArchivedSamples)
    found = run.records[CASE].samples
    assert found == timed().samples == found[:] == list(found)
    assert len(found) == 3
    assert json.loads(run.records[CASE].model_dump_json()) == json.loads(timed().model_dump_json())


def test_a_short_run_without_samples_stays_text(tmp_path):
    lines = (header(), record("cost/a"))
    before = written(tmp_path, *lines).read_bytes()
    finish(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    assert names(tmp_path) == {FILE}


def test_a_long_run_without_samples_gets_an_archive(tmp_path):
    cards = [record(f"cost/{n}", card={"title": f"{n}" * 10000}) for n in range(9)]
    finish(tmp_path, header(), *cards)
    assert len(archives_in(tmp_path)) == 1
    assert contents(tmp_path / FILE) == text_of(header(), *cards)
    assert (tmp_path / FILE).stat().st_size < 5000


def test_a_continued_run_is_archived_again(tmp_path):
    finish(tmp_path, *LINES)
    (old,) = archives_in(tmp_path)
    more = (header(commit="abc"), timed(seed=7), record("cost/c"))
    written(tmp_path, *more)  # interrupted: its lines stay text below the archived ones
    assert contents(tmp_path / FILE) == text_of(*LINES, *more)
    assert read_run(tmp_path / FILE).records[CASE].samples == timed(seed=7).samples
    finish(tmp_path)
    assert contents(tmp_path / FILE) == text_of(*LINES, *more)
    (new,) = archives_in(tmp_path)
    assert new != old


def test_a_run_without_new_samples_is_left_alone(tmp_path):
    finish(tmp_path, *LINES)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    finish(tmp_path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    finish(tmp_path, record("cost/few"))
    assert contents(tmp_path / FILE)[-1:] == text_of(record("cost/few"))
    assert len(archives_in(tmp_path)) == 1


def test_older_formats_are_archived_as_they_are(tmp_path):
    lines = [json.loads(line) for line in text_of(header(format=2), timed())]
    del lines[1]["accepted"], lines[0]["removed"]
    (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    finish(tmp_path)
    assert contents(tmp_path / FILE) == [json.dumps(line) for line in lines]
    assert read_run(tmp_path / FILE).header.format == 2


# exactness


def restored(samples):
    line = {"case": "a", "samples": samples, "odd": {"x": "é\n\u2028\ud800" * 50, "n": None}}
    lines, content = pack([line])
    return archives.Archive(content).restore(json.loads(lines[0])), line


VALUES = {
    "decimals": lambda drawn: float(f"{drawn.lognormvariate(-9, 4):.5g}"),
    "17 digits": lambda drawn: drawn.lognormvariate(-9, 4),
    "15 digits": lambda drawn: float(f"{drawn.lognormvariate(-5, 1):.15g}"),
    "wide": lambda drawn: float(f"{10 ** drawn.uniform(-320, 308):.3g}"),
    "integers": lambda drawn: drawn.randrange(-(2**70), 2**70),
    "small integers": lambda drawn: drawn.randrange(3),
    "whole floats": lambda drawn: float(drawn.randrange(-(2**62), 2**62)),
    "mixed": lambda drawn: drawn.choice([1, 1.0, True, None, "1", -0.0, 5e-324, 2.0**53]),
    "signed zeros": lambda drawn: drawn.choice([0.0, -0.0, 0.5]),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("length", [1, 2, 50])
def test_any_values_come_back_bit_for_bit(kind, length):
    drawn = random.Random(f"{kind}{length}")
    for _ in range(40):
        rows = {name: [VALUES[kind](drawn) for _ in range(length)] for name in "abc"}
        found, line = restored([{"baseline": "a", "seconds": rows, "empty": [], "deep": [[rows]]}])
        assert json.dumps(found) == json.dumps(line)


def test_five_digits_are_stored_as_small_integers(tmp_path):
    finish(tmp_path, *LINES)
    with np.load(archives_in(tmp_path)[0], allow_pickle=False) as archive:
        assert set(archive) == {"texts", "samples", "digits", "starts", "scale"}
        assert archive["digits"].dtype == np.int32
        assert archive["starts"][-1] == len(archive["digits"]) == 30 * 3 * 3 * 2
        assert len(archive["scale"]) == len(archive["starts"]) - 1


def test_equal_rows_are_stored_once(tmp_path):
    finish(tmp_path, header(), timed(), timed("latency/again"))
    with np.load(archives_in(tmp_path)[0]) as archive:
        assert len(archive["scale"]) == 9


@pytest.mark.parametrize(
    "samples", [[{"baseline": {"row": 0}}], [{"row": 5}], [{"seconds": [float("nan")]}]]
)
def test_what_would_not_come_back_stays_text(samples):
    assert pack([{"case": "a", "samples": samples}]) is None
    assert pack([{"case": "a", "other": {"archived": 7}, "samples": [{"x": [0.5]}]}]) is None


# kills, full disks, other writers

STEPS = [(os, "fsync"), (Path, "replace"), (Path, "write_bytes"), (Path, "unlink")]


def stop_at(number, how, patch):
    """Call ``how(function, arguments)`` in place of the ``number``-th call of any step."""
    calls = []

    def stepped(function):
        def step(*arguments, **keywords):
            calls.append(function)
            if len(calls) == number:
                return how(functools.partial(function, **keywords), arguments)
            return function(*arguments, **keywords)

        return step

    for owner, name in STEPS:
        patch.setattr(owner, name, stepped(getattr(owner, name)))
    return calls


def die(_, __):
    os._exit(9)


def die_after(function, arguments):
    function(*arguments)
    os._exit(9)


def die_half_way(function, arguments):
    if len(arguments) > 1 and isinstance(arguments[1], bytes):
        function(arguments[0], arguments[1][: len(arguments[1]) // 2])
    os._exit(9)


def in_child(work):
    """Return the exit status of a forked process that does some work."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def started(folder, continued):
    """Yield copies of a run that has not finished: folder, file and lines."""
    first = folder / "first"
    first.mkdir()
    append(first, *LINES)
    lines = LINES
    if continued:
        finish(first)
        lines = (*LINES, timed("latency/new", 5))
        append(first, lines[-1])
    for number in range(40):
        copy = folder / str(number)
        shutil.copytree(first, copy)
        yield copy, copy / FILE, lines


@pytest.mark.parametrize("how", [die, die_after, die_half_way])
@pytest.mark.parametrize("continued", [False, True])
def test_a_kill_at_any_step_loses_nothing(tmp_path, how, continued):
    for number, (folder, path, lines) in enumerate(started(tmp_path, continued), start=1):

        def work(number=number, folder=folder):
            with pytest.MonkeyPatch.context() as patch:
                stop_at(number, how, patch)
                finish(folder)

        status = in_child(work)
        assert status in (0, 9)
        assert contents(path) == text_of(*lines)
        finish(folder)
        assert contents(path) == text_of(*lines)
        assert names(folder) == {FILE, *(one.name for one in archives_in(folder))}
        assert len(archives_in(folder)) == 1
        append(folder, timed("latency/next", 9))
        finish(folder)
        assert contents(path) == text_of(*lines, timed("latency/next", 9))
        if status == 0:
            break
    assert 8 < number < 39  # the last one was not killed


def fail(*_):
    raise OSError(28, "No space left on device")


def fail_half_way(function, arguments):
    if len(arguments) > 1 and isinstance(arguments[1], bytes):
        function(arguments[0], arguments[1][: len(arguments[1]) // 2])
    fail()


@pytest.mark.parametrize("how", [fail, fail_half_way])
@pytest.mark.parametrize("continued", [False, True])
def test_a_full_disk_leaves_the_run_as_it_is(tmp_path, monkeypatch, how, continued):
    failed = 0
    for number, (folder, path, lines) in enumerate(started(tmp_path, continued), start=1):
        files = names(folder)
        with RunWriter(folder) as writer, monkeypatch.context() as patch:
            calls = stop_at(number, how, patch)
            run = writer.finish()
        assert contents(path) == text_of(*lines)
        assert run.records == read_run(path).records
        if run.warning:
            failed += 1
            assert names(folder) == files
            assert "No space left" in run.warning
            assert FILE in run.warning
            assert "\n" not in run.warning
        if len(calls) < number:
            break
    assert 6 <= failed < number < 39


def test_a_folder_that_is_read_only(tmp_path, monkeypatch):
    path = written(tmp_path, *LINES)
    before = path.read_bytes()
    with RunWriter(tmp_path) as writer:
        tmp_path.chmod(0o500)
        if os.access(tmp_path, os.W_OK):  # root may write anywhere
            monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(
                PermissionError(13, "Permission denied")))  # fmt: skip
        run = writer.finish()
        tmp_path.chmod(0o700)
    assert "ermission denied" in run.warning
    assert path.read_bytes() == before
    assert names(tmp_path) == {FILE}


@pytest.mark.parametrize("name", ["before.jsonl", "records.jsonl.bak", "records.old", ".base"])
def test_the_archive_of_a_copy_beside_is_kept(tmp_path, name):
    finish(tmp_path, *LINES)
    copy = shutil.copy(tmp_path / FILE, tmp_path / name)
    finish(tmp_path, timed("latency/new", 5))
    assert len(archives_in(tmp_path)) == 2
    assert contents(Path(copy)) == text_of(*LINES)


def test_an_archive_left_by_a_moved_file_is_kept(tmp_path):
    finish(tmp_path, *LINES)
    moved = (tmp_path / FILE).rename(tmp_path.parent / "moved.jsonl")
    finish(tmp_path, header(), timed("latency/new", 5))
    assert len(archives_in(tmp_path)) == 2
    moved.replace(tmp_path / FILE)
    assert contents(tmp_path / FILE) == text_of(*LINES)


def test_a_run_that_is_archived_while_it_is_read(tmp_path, monkeypatch):
    finish(tmp_path, *LINES)
    old = (tmp_path / FILE).read_bytes()
    finish(tmp_path, timed("latency/new", 5))
    stale, read = [old], Path.read_bytes

    def read_bytes(path):
        return stale.pop() if stale and path.name == FILE else read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert contents(tmp_path / FILE) == text_of(*LINES, timed("latency/new", 5))
    assert not stale


def test_the_file_keeps_its_mode(tmp_path):
    path = written(tmp_path, *LINES)
    path.chmod(0o640)
    finish(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_linked_run_is_archived_where_it_is(tmp_path):
    path = written(tmp_path / "real", *LINES)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / FILE).symlink_to(path)
    finish(tmp_path / "link")
    assert (tmp_path / "link" / FILE).is_symlink()
    assert contents(tmp_path / "link" / FILE) == contents(path) == text_of(*LINES)


# missing and damaged archives


@pytest.fixture
def archived(tmp_path):
    finish(tmp_path / "run", *LINES)
    return tmp_path / "run" / FILE, archives_in(tmp_path / "run")[0]


def error_of(path):
    with pytest.raises(RecordError) as caught:
        read_run(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_lone_record_file_names_the_archive_it_lacks(archived, tmp_path):
    path, archive = archived
    lone = shutil.copy(path, tmp_path / FILE)
    assert error_of(lone) == (
        f"{lone} lacks its archive: there is no {tmp_path / archive.name}. Copy it, too. "
        f"If it is lost, move {FILE} away and measure again"
    )


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"", lambda b: b[:99] + b"x" + b[100:]]
)
def test_a_damaged_archive_is_named(archived, damage):
    path, archive = archived
    archive.write_bytes(damage(archive.read_bytes()))
    error = error_of(path)
    assert f"{archive} is damaged" in error
    assert "Copy it again" in error


def test_an_archive_that_cannot_be_read(archived):
    path, archive = archived
    archive.unlink()
    archive.mkdir()
    assert f"{archive} cannot be read" in error_of(path)


@pytest.mark.parametrize("name", ["../../secret.npz", "/etc/passwd", "records-12.npz", 3, None])
def test_another_name_is_refused(archived, name):
    path, _ = archived
    first, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps(json.loads(first) | {"archive": name}) + "\n" + rest)
    assert f"{FILE}:1 is damaged" in error_of(path)


@pytest.mark.parametrize("line", [99, "a", None, []])
def test_a_reference_to_nothing(archived, line):
    path, _ = archived
    text = path.read_text()
    path.write_text(
        re.sub(r'("case":"latency/b".*"samples":\{"archived":)1', rf"\g<1>{json.dumps(line)}", text)
    )
    assert path.read_text() != text
    with pytest.raises(RecordError, match=f"{FILE}:5 is damaged"):
        contents(path)


def test_a_reference_without_an_archive(archived):
    path, _ = archived
    path.write_text(path.read_text().split("\n", 1)[1])
    assert f"{FILE}:2 is damaged" in error_of(path)


def test_a_newer_format_is_refused(archived):
    path, _ = archived
    path.write_text(path.read_text().replace('{"format":4', '{"format":5', 1))
    error = error_of(path)
    assert f"{FILE}:1" in error
    assert "format 5 is newer" in error
    assert "Upgrade" in error


# commands on archived runs


def test_merge_of_archived_and_text_runs(tmp_path):
    finish(tmp_path / "1", *LINES)
    written(tmp_path / "2", header(), timed("latency/c", 4))
    merged = merge([tmp_path / "1" / FILE, tmp_path / "2" / FILE], tmp_path / "all")
    assert merged.records["latency/c"] == timed("latency/c", 4)
    assert merged.records[CASE] == timed()
    assert len(archives_in(tmp_path / "all")) == 1


def test_a_replaced_run_has_only_its_new_archive(archived):
    path, old = archived
    kept = [text for _, text, content in read_lines(path) if content.get("case") != "latency/b"]
    run = replace_run(path, kept)
    assert contents(path) == text_of(*LINES[:3])
    assert set(run.records) == {CASE, "cost/a"}
    assert old not in archives_in(path.parent)


@pytest.mark.parametrize("name", ["base.json", ".base.jsonl", "baseline"])
def test_a_replaced_run_of_any_name_keeps_its_archive(archived, name):
    path, old = archived
    baseline = path.rename(path.with_name(name))
    replace_run(baseline, [text for _, text, _ in read_lines(baseline)][:3])
    assert contents(baseline) == text_of(*LINES[:3])
    assert len(archives_in(path.parent)) == 1
    assert old not in archives_in(path.parent)


def test_the_example_of_the_documentation(archived, monkeypatch):
    path, _ = archived
    monkeypatch.chdir(path.parent)
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    names = {"np": np, "json": json, "Path": Path, "case": CASE}
    exec(code, names)
    assert len(code.splitlines()) == 6
    assert names["seconds"].tolist() == timed().samples[0]["seconds"][CASE]
