"""Atomic replacement: the old file or the new one, and nothing else beside it."""

import os
from pathlib import Path

import pytest

from attnbench.errors import OutputError, RequestError
from attnbench.utils.files import atomic_write, replace_file


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("content", ["é\n", b"\xff\r\n", ""])
def test_a_file_is_created_and_replaced(tmp_path, content, durable):
    path = tmp_path / "file"
    assert replace_file(path, "old", durable=durable) == path
    replace_file(path, content, durable=durable)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", [(Path, "write_bytes"), (Path, "replace"), (os, "fsync")])
@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
def test_after_an_error_the_old_file_is_alone(tmp_path, monkeypatch, step, error):
    path = replace_file(tmp_path / "file", "old")

    def fail(*_):
        raise error

    with pytest.raises(type(error)), monkeypatch.context() as patch:
        patch.setattr(*step, fail)
        replace_file(path, "new", durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_durable_file_keeps_its_mode(tmp_path):
    path = replace_file(tmp_path / "file", "old")
    usual = path.stat().st_mode
    path.chmod(0o600)
    replace_file(path, "new", durable=True)
    assert path.stat().st_mode & 0o777 == 0o600
    replace_file(path, "newer")
    assert path.stat().st_mode == usual


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(OutputError), atomic_write(tmp_path / "file"):
        pass
    assert not list(tmp_path.iterdir())


def test_an_error_names_the_file_and_is_for_the_user(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        RequestError, match=r"file/table\.md cannot be written: .*(directory|exists)"
    ):
        replace_file(tmp_path / "file" / "table.md", "x")
    assert replace_file(tmp_path / "a" / "b", "x").read_text() == "x"
