"""``attnbench new``, as a user types it."""

import pytest

from attnbench.scaffold.plugin_package import FILES


def test_a_package_that_the_next_command_knows(attnbench, tmp_path, monkeypatch):
    done = attnbench("new", "typed_gate")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        f"typed_gate/{one.format(module='typed_gate')}" for one in FILES
    ]
    for told in (
        "cd typed_gate",
        "attnbench check typed_gate",
        "src/typed_gate/module.py",
        "licence",
    ):
        assert told in done.err
    monkeypatch.chdir(tmp_path / "typed_gate")
    found = attnbench("show", "module", "typed_gate", "--json").json
    assert found["params_512"] == 512 * 512 // 4 + 512
    assert found["origin"] == "typed-gate (pyproject.toml)"


def test_hyphens_and_another_folder(attnbench, tmp_path):
    done = attnbench("new", "hyphened-gate", "-o", "deep/er")
    assert "hyphened_gate" in done.err and "hyphened-gate" in done.err
    assert "cd deep/er" in done.err
    assert (tmp_path / "deep/er/src/hyphened_gate/module.py").is_file()
    words = ("list", "modules", "--plugin", "deep/er", "--json")
    assert "hyphened_gate" in {one["name"] for one in attnbench(*words).json}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("MyGate",), "my_gate"),
        (("se",), "my_se"),
        (("some_gate", "-o", "full"), "notes.txt"),
        (("some_gate", "-o", "full/notes.txt"), "full/notes.txt"),
    ],
)
def test_mistakes(attnbench, tmp_path, words, told):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    done = attnbench("new", *words)
    assert (done.status, done.out) == (2, "")
    assert told in done.err and done.err.count("\n") == 1
    assert [one.name for one in tmp_path.rglob("*")] == ["full", "notes.txt"]


def test_a_folder_that_is_no_plugin(attnbench, tmp_path):
    done = attnbench("list", "modules", "--plugin", ".")
    assert done.status == 2
    assert "pyproject.toml" in done.err and "attnbench new" in done.err
