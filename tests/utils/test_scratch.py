"""Scratch folders of killed processes are removed; those of living ones never."""

import os
import signal
import tempfile

import pytest

from attnbench.utils.scratch import scratch_folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other_process():
    """Return the id of a process that holds a scratch folder until it is killed, and the folder."""
    received, sent = os.pipe()
    pid = os.fork()
    if not pid:
        with scratch_folder() as folder:
            (folder / "network.onnx").write_text("large")
            os.write(sent, str(folder).encode())
            signal.pause()
    folder = os.read(received, 4096).decode()
    yield pid, folder
    for end in (sent, received):
        os.close(end)


def test_it_is_removed_at_the_end_and_after_an_error(place):
    with scratch_folder() as folder:
        assert folder.parent == place
        (folder / "x").touch()
    assert not list(place.iterdir())
    with pytest.raises(ZeroDivisionError), scratch_folder():
        raise ZeroDivisionError
    assert not list(place.iterdir())


def test_that_of_a_killed_process_is_removed_by_the_next(place, other_process):
    pid, folder = other_process
    with scratch_folder() as own:
        assert {str(path) for path in place.iterdir()} == {str(own), folder}
    assert [str(path) for path in place.iterdir()] == [folder]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [str(path) for path in place.iterdir()] == [folder]
    with scratch_folder() as own:
        assert [*place.iterdir()] == [own]


def test_what_others_have_there_is_left_alone(place):
    (place / "attnbench-of-a-user").mkdir()
    (place / "attnbench-results").touch()
    with scratch_folder():
        assert len(list(place.iterdir())) == 3
    assert len(list(place.iterdir())) == 2
