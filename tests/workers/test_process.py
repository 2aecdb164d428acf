"""The worker is replaced when it crashes, hangs, grows or talks nonsense on standard output."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from attnbench.registry.plugins import catalog
from attnbench.runner.worker_main import new_worker
from attnbench.suites.plan import make_case
from attnbench.workers.process import Limits, Worker, WorkerError, module_arguments

from .minimal_worker import READY

PROGRESS = "say(progress='step %d' % n)"
ECHO = READY + "for line in channel:\n    say(ok=os.getpid())\n"


def counting(module):
    case = make_case(catalog(), backbone="mobilenet_v2", module="se", placement="after:5")
    return {"do": "cost", "case": replace(case, module=module).to_json()}


@pytest.fixture
def task():
    return counting("se")


def worker(code, **limits):
    return Worker(["-c", code], Limits(**limits))


def test_one_process_serves_many_cases(task):
    own = worker(ECHO)
    assert own.run(task) == own.run(task)
    own.stop()


def test_a_crash_names_the_signal_and_the_last_words(task):
    own = worker(
        READY
        + "channel.readline()\nprint('out of cheese', file=sys.stderr, flush=True)\nos.abort()"
    )
    with pytest.raises(WorkerError, match=r"died \(SIGABRT\): out of cheese"):
        own.run(task)


def test_the_last_words_are_those_of_the_task_that_died(task):
    code = READY + (
        "channel.readline()\nprint('chatter', file=sys.stderr, flush=True)\n"
        "say(ok=1)\nchannel.readline()\nos.abort()"
    )
    own = worker(code)
    assert own.run(task) == {"ok": 1}
    with pytest.raises(WorkerError, match=r"died \(SIGABRT\)$"):
        own.run(task)


def test_an_exit_names_the_status(task):
    with pytest.raises(WorkerError, match=r"died \(exit status 3\)"):
        worker(READY + "channel.readline()\nsys.exit(3)").run(task)


def test_a_worker_that_cannot_start(task):
    with pytest.raises(WorkerError, match="ImportError: no torch here"):
        worker("raise ImportError('no torch here')").run(task)


def test_a_hang_is_ended_at_the_limit(task):
    own = worker(READY + "time.sleep(1000)", seconds=0.3)
    with pytest.raises(WorkerError, match=r"did not finish within 0\.3 s"):
        own.run(task)
    assert own._process is None


def test_memory_is_watched(task):
    grow = READY + "channel.readline()\nkept = bytearray(300 * 2**20)\ntime.sleep(1000)"
    with pytest.raises(WorkerError, match=r"0\.2 GiB"):
        worker(grow, memory_bytes=200 * 2**20).run(task)


def test_children_of_the_worker_count_and_are_ended_with_it(task):
    code = READY + (
        "import subprocess\nchannel.readline()\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'kept = bytearray(300 * 2**20); import time; time.sleep(1000)'])\n"
        "open(os.environ['CHILD_PID_FILE'], 'w').write(str(child.pid))\ntime.sleep(1000)"
    )
    own = worker(code, memory_bytes=250 * 2**20)
    with pytest.raises(WorkerError, match="GiB"):
        own.run(task)


@pytest.fixture(autouse=True)
def child_pid_file(tmp_path, monkeypatch):
    path = tmp_path / "child.pid"
    monkeypatch.setenv("CHILD_PID_FILE", str(path))
    yield
    if path.exists():
        assert not _alive(int(path.read_text()))


def _alive(pid):
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        time.sleep(0.1)
    return True


def test_a_new_process_takes_over_after_a_failure(task, tmp_path):
    flag = tmp_path / "once"
    code = READY + (
        f"import pathlib\nflag = pathlib.Path({str(flag)!r})\n"
        "for line in channel:\n"
        "    if not flag.exists():\n        flag.touch(); os.abort()\n"
        "    say(ok=1)\n"
    )
    own = worker(code)
    with pytest.raises(WorkerError):
        own.run(task)
    assert own.run(task) == {"ok": 1}
    own.stop()


def test_the_real_worker_answers_and_reports_errors(task, tmp_path):
    noisy = tmp_path / "noisy.py"
    noisy.write_text(
        "print('hello from a plugin')\n"
        "import attnbench, torch\n"
        "@attnbench.register('noisy')\n"
        "class Noisy(torch.nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n"
        "    def forward(self, x):\n        print('and from its forward')\n        return x\n"
        "@attnbench.register('broken')\n"
        "class Broken(torch.nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n"
        "    def forward(self, x):\n        raise KeyError('nothing works')\n"
    )
    own = new_worker([str(noisy)])
    try:
        assert own.run(task)["ok"]["values"]["delta_params"] > 0
        assert own.run(counting("noisy"))["ok"]["values"]["delta_params"] == 0
        assert "nothing works" in own.run(counting("broken"))["error"]
        assert "unknown module" in own.run(counting("absent"))["error"]
        pid = own._process.pid
    finally:
        own.stop()
    assert not _alive(pid)
    assert os.getpid() != pid


def test_progress_renews_the_time_limit():
    code = READY + (
        "channel.readline()\n"
        f"for n in range(5):\n    time.sleep(0.4)\n    {PROGRESS}\n"
        "say(ok=7)\ntime.sleep(100)\n"
    )
    reports = []
    with worker(code, seconds=1.5) as own:  # two seconds in all
        assert own.run({}, reports.append) == {"ok": 7}
    assert reports == [f"step {n}" for n in range(5)]


def test_silence_after_progress_does_not():
    code = READY + f"channel.readline()\nn = 1\n{PROGRESS}\ntime.sleep(100)\n"
    reports = []
    with pytest.raises(WorkerError, match=r"1\.5 s"):
        worker(code, seconds=1.5).run({}, reports.append)
    assert reports == ["step 1"]


@pytest.mark.parametrize("importable", [False, True])
def test_a_file_of_the_working_folder_hides_no_library(tmp_path, monkeypatch, importable):
    """It may be named like one, unless this process imports from there as well."""
    (tmp_path / "calendar.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    if importable:
        monkeypatch.syspath_prepend(str(tmp_path))
    command = [sys.executable, *module_arguments("calendar")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == (3 if importable else 0)
