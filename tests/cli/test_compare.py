"""``attnbench compare`` and ``accept`` as in a shell."""

import json

import pytest

HEADER = {
    "format": 3, "suite": {"suite": {"name": "mine", "version": 1}}, "suite_hash": "0",
    "tables": [], "versions": {"torch": "2"}, "machine": {"cores": 2},
}  # fmt: skip


def line(case, params):
    return {"case": case, "kind": "cost", "status": "ok", "hash": "1", "conditions": {},
            "values": {"params": params}}  # fmt: skip


def write(folder, *records):
    folder.mkdir(parents=True)
    text = "".join(json.dumps(one) + "\n" for one in (HEADER, *records))
    (folder / "records.jsonl").write_text(text)


@pytest.fixture
def runs(tmp_path):
    """``baseline/mine`` and a larger, incomplete ``out/mine``, with settings that name them."""
    write(tmp_path / "baseline" / "mine", line("cost/a", 10), line("cost/b", 20))
    write(tmp_path / "out" / "mine", line("cost/a", 11))
    settings = '[tool.attnbench]\nbaseline = "baseline"\nout = "out"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("baseline/mine", "out/mine"),
        ("baseline/mine/records.jsonl", "mine"),
        ("baseline/mine", "mine", "--out", "out"),
        ("mine",),
        ("out/mine",),
    ],
)
def test_runs_are_found_as_everywhere_and_a_regression_is_status_1(attnbench, runs, words):
    done = attnbench("compare", *words)
    assert done.status == 1
    assert done.out.startswith("✗ failed: 1 regression, 1 missing\n")
    assert "attnbench accept baseline/mine out/mine cost/a" in done.out


def test_json_is_one_document_with_the_keys_others_read(attnbench, runs):
    done = attnbench("compare", "mine", "--json")
    assert done.status == 1
    assert set(done.json) == {
        "ok", "regressions", "improvements", "unchanged", "inconclusive", "incomparable", "added",
        "missing", "notes", "base", "new",
    }  # fmt: skip
    assert done.json["ok"] is False
    (one,) = done.json["regressions"]
    assert (one["case"], one["metric"], one["base"], one["new"]) == ("cost/a", "params", 10, 11)
    assert one["accept"].startswith("attnbench accept baseline/mine out/mine")


def test_markdown(attnbench, runs):
    assert "| `cost/a` | params | 10 | 11 |" in attnbench("compare", "mine", "--format", "md").out


def test_what_is_like_is_status_0(attnbench, runs):
    done = attnbench("compare", "baseline/mine", "baseline/mine")
    assert (done.status, done.out, done.err) == (0, "✓ passed: no regressions, 2 unchanged\n", "")


def test_missing_and_gates_may_be_allowed(attnbench, runs):
    with (runs / "pyproject.toml").open("a") as file:
        file.write("[tool.attnbench.gates]\nparams = 0.1\n")
    assert attnbench("compare", "mine").status == 1
    done = attnbench("compare", "mine", "--allow-missing", "--json")
    assert (done.status, done.json["ok"]) == (0, True)


def test_strict_makes_what_is_inconclusive_fail(attnbench, tmp_path):
    for name, top in (("a", 90.0), ("b", 91.0)):
        case = {"case": "accuracy/x,seed=0", "kind": "accuracy", "status": "ok", "hash": "1",
                "conditions": {}, "values": {"top1": top}, "training": {}}  # fmt: skip
        write(tmp_path / name, case)
    assert attnbench("compare", "a", "b").status == 0
    assert attnbench("compare", "a", "b", "--strict").status == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "nowhere", "mine"), "nowhere/records.jsonl"),
        (("compare", "mine", "--format", "tex"), "json, md, text"),
        (("compare", "mine", "--json", "--format", "md"), "--format: got 'md'"),
        (("accept", "mine"), "--reason"),
        (("accept", "mine", "--reason", " "), "--reason"),
        (("accept", "mine", "cost/c", "--reason", "x"), "'cost/c'"),
    ],
)
def test_mistakes_are_status_2(attnbench, runs, words, said):
    done = attnbench(*words)
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_one_run_needs_a_baseline(attnbench, tmp_path):
    write(tmp_path / "a", line("cost/a", 1))
    for words in (("compare", "a"), ("accept", "a", "--reason", "x")):
        done = attnbench(*words)
        assert done.status == 2
        assert "[tool.attnbench]" in done.err


def test_a_damaged_line_is_status_2(attnbench, runs):
    with (runs / "out" / "mine" / "records.jsonl").open("a") as file:
        file.write("garbage\n")
    done = attnbench("compare", "mine")
    assert done.status == 2
    assert "records.jsonl:3" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("mine",), ("mine", "cost/a", "cost/b"), ("baseline/mine", "mine", "cost/*")]
)
def test_what_is_accepted_is_no_regression_any_more(attnbench, runs, words):
    done = attnbench("accept", *words, "--reason", "a bias was added")
    assert (done.status, done.out) == (0, "")
    assert done.err == "accepted cost/a\naccepted cost/b\n"
    assert attnbench("compare", "mine").out == "✓ passed: no regressions, 1 unchanged\n"
    assert attnbench("accept", "mine", "--reason", "again").err.count("\n") == 1


def test_tables_beside_a_baseline_are_written_anew_or_it_is_said(attnbench, runs):
    (runs / "baseline" / "mine" / "table.md").write_text("old")
    done = attnbench("accept", "mine", "cost/a", "--reason", "x")
    assert done.status == 0
    assert "tables" in done.err  # this suite has none


def test_only_some_kinds(attnbench, tmp_path):
    slower = {**line("latency/a", 1), "kind": "latency"}
    write(tmp_path / "base", line("cost/a", 10), slower)
    write(tmp_path / "new", line("cost/a", 10))
    assert attnbench("compare", "base", "new").status == 1  # one is missing
    done = attnbench("compare", "base", "new", "--only", "cost")
    assert (done.status, done.out) == (0, "✓ passed: no regressions, 1 unchanged\n")
    done = attnbench("compare", "base", "new", "--only", "speed")
    assert done.status == 2
    assert "accuracy, cost, latency" in done.err
