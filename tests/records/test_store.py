"""Record files: torn lines, damage, locks, and what a resumed run sees."""

import json
import shutil

import pytest

from attnbench.errors import RecordError
from attnbench.records.format import FORMAT, Header, Record
from attnbench.records.merge import merge
from attnbench.records.store import FILE, RunWriter, find_run, read_run


def header(**changes):
    given = {
        "format": FORMAT,
        "suite": {"suite": {"name": "mine"}},
        "suite_hash": "abc",
        "tables": [],
        "versions": {"torch": "2"},
        "machine": {"cores": 2},
    }
    return Header(**{**given, **changes})


def record(case="cost/a", **changes):
    given = {"case": case, "kind": "cost", "status": "ok", "hash": "1", "conditions": {}}
    return Record(**{**given, "values": {"params": 2**53 + 1}, **changes})


def written(folder, *lines):
    with RunWriter(folder) as writer:
        for line in lines:
            writer.append(line)
    return folder / FILE


def test_integers_stay_exact(tmp_path):
    run = read_run(written(tmp_path, header(), record()))
    assert run.records["cost/a"].values["params"] == 2**53 + 1


def test_the_last_record_of_a_case_counts_and_keeps_its_header(tmp_path):
    old, new = header(versions={"torch": "1"}), header(versions={"torch": "2"})
    path = written(tmp_path, old, record(hash="1"), record("cost/b"), new, record(hash="2"))
    run = read_run(path)
    assert run.records["cost/a"].hash == "2"
    assert run.header_of["cost/a"].versions == {"torch": "2"}
    assert run.measured_with() == {"torch": "2 / 1"}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_passed_over_and_mended(tmp_path, cut):
    path = written(tmp_path, header(), record(), record("cost/b"))
    path.write_bytes(path.read_bytes()[:-cut])
    if cut > 1:
        assert set(read_run(path).records) == {"cost/a"}
    written(tmp_path, record("cost/c"))
    expected = {"cost/a", "cost/c"} | ({"cost/b"} if cut == 1 else set())
    assert set(read_run(path).records) == expected


def test_a_kill_while_the_header_was_written_leaves_nothing_to_read(tmp_path):
    path = written(tmp_path, header())
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(RecordError, match="no complete header"):
        read_run(path)
    written(tmp_path, header(), record())
    assert set(read_run(path).records) == {"cost/a"}


CASE = {
    "kind": "cost",
    "backbone": None,
    "module": "se",
    "placement": None,
    "channels": 8,
    "size": [8, 8],
}
DAMAGE = {
    "garbage": b"\x00\xff not json",
    "array": b"[1, 2]",
    "number": b"17",
    "half": b'{"case": "cost/b", "kin',
    "header without a format": b'{"suite": {}, "suite_hash": "", "tables": []}',
    "bad header": b'{"format": 1, "suite": 3}',
    "format text": b'{"format": "one"}',
    "newer format": b'{"format": 99}',
    "format of digits": b'{"format": "99"}',
    "format of an archive": b'{"format": "99", "archive": "x"}',
    "an archive that is not there": b'{"case":"cost/b","kind":"cost","status":"ok","hash":"1","conditions":{"archived":3},"values":{"params":1}}',
    "nested deep": b'{"case": ' + b"[" * 100_000,
    **{
        f"header {name}": json.dumps(
            {
                "format": 4,
                "suite": {"suite": {"name": "mine"}},
                "suite_hash": "abc",
                "tables": [],
                "versions": {},
                "machine": {},
            }
            | changes
        ).encode()
        for name, changes in {
            "of a suite that is a text": {"suite": "mine"},
            "with tables of numbers": {"tables": [5]},
            "without cases": {"tables": [[{"label": "a", "row": 0}]]},
            "with no cases": {"tables": [[{"label": "a", "row": 0, "cases": []}]]},
            "with a case of numbers": {"tables": [[{"label": "a", "row": 0, "cases": [1]}]]},
            "before the first row": {"tables": [[{"label": "a", "row": -1, "cases": [CASE]}]]},
            "with an unknown key": {
                "tables": [[{"label": "a", "row": 0, "cases": [CASE | {"x": 1}]}]]
            },
            "with one size": {
                "tables": [[{"label": "a", "row": 0, "cases": [CASE | {"size": [8]}]}]]
            },
        }.items()
    },
    "not utf-8": b'{"case": "\xff"}',
}


SAMPLES = {"baseline": "p", "calls": {"p": 1, "baseline again": 1}, "warmup_s": 0.1,
           "sampling_s": 0.1, "stopped": "budget"}  # fmt: skip


def timed(seconds, **changes):
    """Return the line of a latency case."""
    fields = {"case": "latency/a", "kind": "latency", "status": "ok", "hash": "1", "conditions": {}}
    samples = [SAMPLES | {"seconds": seconds} | changes]
    return json.dumps(fields | {"values": {"load_s": 0.1}, "samples": samples}).encode()


DAMAGED_RECORDS = {
    "an object": b"{}",
    "no case": b'{"kind":"cost","status":"ok","hash":"1","conditions":{},"values":{"params":1}}',
    "another kind": b'{"case":"cost/b","kind":"latency","status":"ok","hash":"1","conditions":{},"values":{"a":1}}',
    "a kind that no file has": b'{"case":"export/b","kind":"export","status":"ok","hash":"1","conditions":{},"values":{"a":1}}',
    "no top-1": b'{"case":"accuracy/b","kind":"accuracy","status":"ok","hash":"1","conditions":{"training":{"seed":1}},"values":{"loss":1}}',
    "infinite top-1": b'{"case":"accuracy/b","kind":"accuracy","status":"ok","hash":"1","conditions":{"training":{"seed":1}},"values":{"top1":1e400}}',
    "a huge top-1": b'{"case":"accuracy/b","kind":"accuracy","status":"ok","hash":"1","conditions":{"training":{"seed":1}},"values":{"top1":1e308}}',
    "a huge count": b'{"case":"cost/b","kind":"cost","status":"ok","hash":"1","conditions":{},"values":{"params":1%s}}'
    % (b"0" * 400),
    "wrong status": b'{"case":"b","kind":"cost","status":"fine","hash":"1","conditions":{}}',
    "float value": b'{"case":"b","kind":"cost","status":"ok","hash":"1","conditions":{},"values":{"p":1.5}}',
    "samples without seconds": b'{"case":"b","kind":"latency","status":"ok","hash":"1","conditions":{},"samples":[{"x":1}]}',
    "samples of unequal length": b'{"case":"b","kind":"latency","status":"ok","hash":"1","conditions":{},"samples":[{"baseline":"p","seconds":{"p":[1.0,2.0],"a":[1.0]}}]}',
    "samples of no time": b'{"case":"b","kind":"latency","status":"ok","hash":"1","conditions":{},"samples":[{"baseline":"p","seconds":{"p":[0.0],"a":[1.0]}}]}',
    "no values": b'{"case":"b","kind":"cost","status":"ok","hash":"1","conditions":{}}',
    "missing hash": b'{"case":"b","kind":"cost","status":"ok","conditions":{}}',
    "samples of no rounds": timed({"p": [], "baseline again": []}),
    "samples without a copy": timed({"p": [1.0]}),
    "samples without calls": timed({"p": [1.0], "baseline again": [1.0]}, calls={"p": 1}),
    "samples of endless rounds": timed({"p": [1e400], "baseline again": [1.0]}),
    "samples of words": timed({"p": [1.0], "baseline again": [1.0]}, dropped="none"),
}


@pytest.mark.parametrize("kind", DAMAGED_RECORDS)
def test_a_damaged_record_is_left_out_and_named_by_its_line(tmp_path, kind):
    path = written(tmp_path, header(), record())
    lines = [DAMAGED_RECORDS[kind], record("cost/c").model_dump_json().encode()]
    before = path.read_bytes() + b"".join(line + b"\n" for line in lines)
    path.write_bytes(before)
    run = read_run(path)
    assert set(run.records) == {"cost/a", "cost/c"}
    (reason,) = run.left_out.values()
    assert f"{FILE}:3: damaged record is left out: " in reason and "\n" not in reason
    assert path.read_bytes() == before
    seconds = {"p": [1.0], "baseline again": [1.0]}
    sound = record("latency/d", kind="latency", samples=[SAMPLES | {"seconds": seconds}])
    with RunWriter(tmp_path) as writer:
        writer.append(sound)
        run = writer.finish()
    assert set(run.records) == {"cost/a", "cost/c", "latency/d"} and list(tmp_path.glob("*.npz"))
    (again,) = run.left_out.values()
    assert again.partition(": ")[2] == reason.partition(": ")[2]


def test_samples_of_a_plain_network_are_complete_with_its_copy(tmp_path):
    path = written(tmp_path, header())
    path.write_bytes(path.read_bytes() + timed({"p": [1.0], "baseline again": [1]}) + b"\n")
    assert set(read_run(path).records) == {"latency/a"}


def test_a_damaged_record_leaves_out_what_it_replaced_until_it_is_replaced(tmp_path):
    path = written(tmp_path, header(), record(), record("cost/b"))
    damaged = json.loads(record().model_dump_json()) | {"values": {}}
    path.write_bytes(path.read_bytes() + json.dumps(damaged).encode() + b"\n")
    run = read_run(path)
    assert set(run.records) == set(run.header_of) == {"cost/b"}
    assert set(run.left_out) == {"cost/a"}
    assert run.only(["cost"]).left_out == run.left_out
    assert run.only(["latency"]).left_out == {}
    written(tmp_path, record(hash="2"))
    assert read_run(path).records["cost/a"].hash == "2"
    assert read_run(path).left_out == {}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_by_line_and_left_alone(tmp_path, kind):
    path = written(tmp_path, header(), record())
    before = path.read_bytes() + DAMAGE[kind] + b"\n" + record("cost/c").model_dump_json().encode()
    path.write_bytes(before + b"\n")
    with pytest.raises(RecordError) as caught:
        read_run(path)
    assert f"{FILE}:3" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before + b"\n"


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("counters", {"a": [1]}, "counters: a: "),
        ("counters", {"a": {"unit": "MACs", "macs": 1}}, "counters: a.agree: "),
        ("card", {"title": 3}, "card: title: "),
        ("card", {"title": "SE", "printed": [1]}, "card: printed: "),
        ("runtime", {"versions": "2"}, "runtime: versions: "),
        ("training", {"images": [1]}, "training: images: "),
        ("training", {"recipe": {"baseline": [3]}}, "training: recipe.baseline.0: "),
        ("training", {"curve": [{"epoch": "x"}]}, "training: curve.0.epoch"),
        ("runtime", {"fallbacks": {"mul": [1]}}, "runtime: fallbacks.mul: "),
        ("runtime", {"device": "cpu"}, "runtime: device: "),
        ("conditions", {"conditions": {"batch": "1"}}, "conditions: conditions.batch: "),
        ("conditions", {"training": {"seed": None}}, "conditions: training.seed: "),
        ("conditions", {"training": 3}, "conditions: training: "),
        ("slots", [{"path": "a", "channels": 8, "size": 3}], "slots: 0.size: "),
        ("uncounted", [{"operator": "a"}], "uncounted: 0.calls: "),
        ("accepted", {"reason": []}, "accepted: reason: "),
        ("values", {}, "values: none"),
    ],
)
def test_a_field_of_wrong_form_is_named(tmp_path, field, value, place):
    path = written(tmp_path, header())
    content = json.loads(record().model_dump_json()) | {field: value}
    path.write_bytes(path.read_bytes() + json.dumps(content).encode() + b"\n")
    (reason,) = read_run(path).left_out.values()
    assert f"{FILE}:2: damaged record is left out: {place}" in reason
    assert "\n" not in reason


def test_a_record_above_any_header(tmp_path):
    with pytest.raises(RecordError, match=r":1: a record stands above any header"):
        read_run(written(tmp_path, record()))


def test_unknown_keys_of_a_later_version_are_read_over(tmp_path):
    path = written(tmp_path, header())
    line = json.loads(record().model_dump_json()) | {"energy": 3}
    path.write_text(path.read_text() + json.dumps(line) + "\n")
    assert "cost/a" in read_run(path).records


def test_two_writers_at_once_are_refused(tmp_path):
    with RunWriter(tmp_path), pytest.raises(RecordError, match=r"run is writing.*--out"):
        RunWriter(tmp_path).__enter__()


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written"):
        RunWriter(tmp_path / "file" / "run").__enter__()


class FullDisk:
    """A file on which nothing fits any more."""

    def __init__(self, file):
        self._file = file

    def fileno(self):
        return self._file.fileno()

    def write(self, data):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_told_and_frees_the_folder(tmp_path):
    with pytest.raises(RecordError, match="No space left"), RunWriter(tmp_path) as writer:
        writer.append(header())
        writer._file = FullDisk(writer._file)
        writer.append(record())
    assert read_run(tmp_path / FILE).records == {}
    written(tmp_path, record())
    assert set(read_run(tmp_path / FILE).records) == {"cost/a"}


def test_runs_are_found_by_file_folder_and_name(tmp_path):
    path = written(tmp_path / "mine", header(), record())
    assert find_run(path) == find_run(path.parent) == find_run("mine", tmp_path) == path
    with pytest.raises(RecordError, match="no run at 'other'; looked for"):
        find_run("other", tmp_path)


def test_merge_keeps_headers_and_prefers_what_is_ok(tmp_path):
    one = written(
        tmp_path / "1", header(versions={"torch": "1"}), record("cost/a"), record("cost/b")
    )
    two = written(
        tmp_path / "2",
        header(versions={"torch": "2"}),
        record("cost/b", status="failed", values={}),
        record("cost/c"),
    )
    merged = merge([one, two], tmp_path / "all")
    assert {name: found.status for name, found in merged.records.items()} == {
        "cost/a": "ok", "cost/b": "ok", "cost/c": "ok",
    }  # fmt: skip
    assert merged.header_of["cost/c"].versions == {"torch": "2"}
    assert merged.header_of["cost/b"].versions == {"torch": "1"}


def test_merge_refuses_unlike_runs_and_an_existing_folder(tmp_path):
    one = written(tmp_path / "1", header(), record())
    other = written(tmp_path / "2", header(suite={"suite": {"name": "other"}}), record())
    layout = written(tmp_path / "3", header(suite_hash="zzz"), record())
    with pytest.raises(RecordError, match="Only runs of one suite"):
        merge([one, other], tmp_path / "all")
    with pytest.raises(RecordError, match="different versions"):
        merge([one, layout], tmp_path / "all")
    with pytest.raises(RecordError, match="exists"):
        merge([one], tmp_path / "1")


def test_a_run_that_is_removed_under_way_is_written_anew(tmp_path):
    folder = tmp_path / "run"
    with RunWriter(folder) as writer:
        writer.append(header())
        writer.append(record("cost/a"))
        shutil.rmtree(folder)
        writer.append(record("cost/b"))
        shutil.rmtree(folder)
        run = writer.finish()
    assert set(run.records) == set(read_run(folder / FILE).records) == {"cost/a", "cost/b"}


def test_a_resumed_run_that_is_removed_keeps_its_archive(tmp_path):
    seconds = {"p": [1.5, 2.5], "baseline again": [2.5, 3.5]}
    samples = [SAMPLES | {"seconds": seconds}]
    with RunWriter(tmp_path / "run") as writer:
        writer.append(header())
        writer.append(record("latency/a", kind="latency", samples=samples))
        writer.finish()
    with RunWriter(tmp_path / "run") as writer:
        shutil.rmtree(tmp_path / "run")
        writer.append(record("cost/b"))
        assert list(writer.finish().records["latency/a"].samples) == samples
    assert list(read_run(tmp_path / "run" / FILE).records["latency/a"].samples) == samples


def test_a_file_that_is_replaced_under_way_gets_the_lines_of_this_run(tmp_path):
    """As an editor does that saves another file under the name."""
    path = written(tmp_path, header(), record("cost/a"), record("cost/old"))
    with RunWriter(tmp_path) as writer:
        writer.append(record("cost/b"))
        lines = path.read_bytes().splitlines(keepends=True)
        path.unlink()
        path.write_bytes(b"".join(lines[:2]))
        for case in ("cost/c", "cost/d"):
            writer.append(record(case))
        assert set(writer.finish().records) == {"cost/a", "cost/b", "cost/c", "cost/d"}


def test_another_run_in_the_place_of_a_removed_one_is_left_alone(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        writer.append(header())
        shutil.rmtree(tmp_path / "run")
        with RunWriter(tmp_path / "run") as other:
            other.append(header())
            with pytest.raises(RecordError, match=r"a run is writing to .*run\. Wait for its end"):
                writer.append(record("cost/a"))


def test_a_file_where_the_folder_was_is_named(tmp_path):
    with RunWriter(tmp_path / "run") as writer:
        writer.append(header())
        shutil.rmtree(tmp_path / "run")
        (tmp_path / "run").touch()
        with pytest.raises(RecordError, match=r"run/records\.jsonl cannot be written"):
            writer.append(record("cost/a"))


def test_file_names_that_are_not_utf8_are_kept(tmp_path):
    run = read_run(written(tmp_path, header(), record("cost/bad\udcff.py:Foo")))
    assert list(run.records) == ["cost/bad\udcff.py:Foo"]


def test_a_suite_that_was_not_run_says_how_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError) as raised:
        find_run("quick", "runs")
    assert str(raised.value) == (
        "no run at 'quick'; looked for quick, quick/records.jsonl, runs/quick/records.jsonl. "
        "Measure it: attnbench run quick"
    )
