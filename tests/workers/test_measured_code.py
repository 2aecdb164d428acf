"""Measured code that forks, closes or writes to descriptors costs its own task at most."""

import os
import time

import psutil
import pytest

from attnbench.workers.answers import parse_answer
from attnbench.workers.process import Limits, Worker, WorkerError
from attnbench.workers.process_family import MARK

from .minimal_worker import READY

FORK = """
def leave(code):
    if not os.fork():
        time.sleep(1000)
    code()
def daemon(code):
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(1000)
    os.wait()
    code()
def segfault():
    os.kill(os.getpid(), signal.SIGSEGV)
def to_all(data):
    for number in range(3, 5000):
        try:
            if number != channel._tasks.fileno(): os.write(number, data)
        except OSError: pass
"""
SERVE = (
    READY
    + FORK
    + """
for line in channel:
    exec(json.loads(line)["code"])
    say(ok="answered")
"""
)
OK = {"ok": "answered"}


@pytest.fixture(scope="module")
def worker():
    with Worker(["-c", SERVE], Limits(seconds=60)) as own:
        yield own
    assert not marked(own)


def marked(worker):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == worker._mark and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            pass
    return found


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("leave(segfault)", r"the process died \(SIGSEGV\)$"),
        ("leave(lambda: os._exit(5))", r"the process died \(exit status 5\)$"),
        ("daemon(segfault)", r"the process died \(SIGSEGV\)$"),
        ("daemon(lambda: os._exit(5))", r"the process died \(exit status 5\)$"),
        ("channel.write('[1, 2]')", "damaged answer and was ended: it is no result"),
        ('channel.write(\'{"ok": 1, "error": "x"}\')', "damaged answer and was ended: it is no"),
        ("channel.write('{\"error\": 1}')", "damaged answer and was ended: its text is no text"),
        ('channel.write(\'{"ok": 1, "notes": [1]}\')', "was ended: its notes are no texts"),
        ("channel.write('[' * 100_000)", "damaged answer and was ended: it is nested too deeply"),
        ("to_all(b'garbage')\nos.closerange(3, 5000)", r"died \(exit status 1\): OSError"),
    ],
)
def test_a_task_is_lost_with_its_reason(worker, code, reason):
    with pytest.raises(WorkerError, match=reason):
        worker.run({"code": code})
    assert not marked(worker)
    assert worker.run({"code": ""}) == OK


def test_a_crash_is_reported_with_its_place(worker, tmp_path):
    file = tmp_path / "gate.py"
    file.write_text("import signal\n\nsignal.raise_signal(signal.SIGSEGV)\n")
    with pytest.raises(WorkerError) as lost:
        worker.run({"code": f"import runpy; runpy.run_path({str(file)!r})"})
    assert str(lost.value) == f"the process died (SIGSEGV) at {file}:3"


@pytest.mark.parametrize(
    "code",
    [
        "to_all(b'garbage\\n')",
        "to_all(b'garbage without an end')",
        "to_all(b'[1,2]\\n\\xff\\xfe\\n')",
        'to_all(b\'{"ok": {"params": 1}}\\n\')',
        "to_all(b'\\n0-1 {\"ok\": 1}\\n')",
        "os.closerange(3, 900)",
        "os.write(1, b'{\"ok\": 1}\\n')",
        "assert sys.stdin.read() == ''",
        "print('{\"ok\": 1}')",
        "leave(lambda: None)",
    ],
)
def test_a_task_is_answered_nevertheless(worker, code):
    assert worker.run({"code": code}) == OK
    assert worker.run({"code": ""}) == OK


def test_a_copy_of_the_process_takes_no_part(worker):
    """A forked child that returns from the measured code would answer, and take tasks."""
    pids = {worker.run({"code": "os.fork(); say(ok=os.getppid())"})["ok"] for _ in range(3)}
    assert pids == {os.getpid()}


def test_an_answer_to_an_earlier_task_is_ignored(worker):
    late = "label = channel._label; channel.write('{\"ok\": 1}')\nchannel._label = label"
    assert worker.run({"code": late}) == {"ok": 1}  # a second answer follows
    assert worker.run({"code": "say(progress='x'); say(ok=2)"}) == {"ok": 2}
    assert parse_answer(b'a-1 {"ok": 1}', "a-2") is None


def test_closed_descriptors_of_a_process_that_lives(monkeypatch):
    monkeypatch.setattr("attnbench.workers.process._EXIT_S", 0.1)
    with (
        Worker(["-c", SERVE], Limits(seconds=60)) as own,
        pytest.raises(WorkerError, match="closed the descriptor of its answers and was ended"),
    ):
        own.run({"code": "os.closerange(3, 5000); time.sleep(1000)"})


def test_the_limit_holds_for_a_task_that_is_not_read():
    code = READY.replace("say(ready=1)", "say(ready=1)\ntime.sleep(1000)")
    with pytest.raises(WorkerError, match=r"did not finish within 0\.3 s"):
        Worker(["-c", code], Limits(seconds=0.3)).run({"code": " " * 2**20})


def test_an_answer_that_is_too_long_is_none(monkeypatch):
    monkeypatch.setattr("attnbench.workers.answers._LONGEST", 2**18)
    with (
        Worker(["-c", SERVE], Limits(seconds=60)) as own,
        pytest.raises(WorkerError, match="sent a damaged answer"),
    ):
        own.run({"code": "say(ok='x' * 2**20)"})


@pytest.mark.parametrize("rest", ["", "time.sleep(1000)"])
def test_a_worker_ends_with_its_parent_and_takes_its_children_along(tmp_path, rest):
    """A parent that is killed can end nothing itself, during a task or after it."""
    pids = tmp_path / "pids"
    fork = f"pid = os.fork()\nif not pid: time.sleep(1000)\nwith open({str(pids)!r}, 'w') as file:"
    code = f"{fork} file.write(f'{{os.getpid()}} {{pid}}')\nsay(progress='')\n{rest}"
    parent = os.fork()
    if not parent:
        Worker(["-c", SERVE]).run({"code": code}, lambda _: os._exit(9))
    os.waitpid(parent, 0)
    left = [int(pid) for pid in pids.read_text().split()]
    deadline = time.monotonic() + 30
    while any(map(is_running, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, left))


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"
