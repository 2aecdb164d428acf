"""A pool yields each task once, replaces workers that die, and leaves no process behind."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import torch

from attnbench.timing.isolation import allowed_cores
from attnbench.workers.pool import WorkerPool, local_environments, local_gpus
from attnbench.workers.process import Limits, Worker, share_memory

from .minimal_worker import READY

MARK = "attnbench-pool-test"
SERVER = f"""\
# {MARK}
{READY}
for line in channel:
    task = json.loads(line)
    if task["n"] == 2: os.abort()
    if task["n"] < 0: time.sleep(1000)
    say(progress="at %d" % task["n"])
    say(ok={{"n": task["n"], "place": os.environ.get("PLACE"), "pid": os.getpid()}})
"""
LIMITS = Limits(seconds=60)


def pool_of(*places):
    return WorkerPool(Worker(["-c", SERVER]), [{"PLACE": place} for place in places])


def tasks(*numbers):
    return {f"task {n}": {"n": n} for n in numbers}


def running():
    family = psutil.Process().children(recursive=True)
    return [child for child in family if MARK in " ".join(_command(child))]


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_each_task_is_done_once_even_if_one_kills_its_worker():
    progress = []
    results = {
        key: answer
        for key, answer, _ in pool_of("a", "b").run(
            tasks(*range(7)), lambda key, text: progress.append((key, text))
        )
    }
    assert sorted(results) == [f"task {n}" for n in range(7)]
    lost = results.pop("task 2")
    assert lost["lost"] and "SIGABRT" in lost["error"]
    assert [results[key]["ok"]["n"] for key in sorted(results)] == [0, 1, 3, 4, 5, 6]
    assert {answer["ok"]["place"] for answer in results.values()} <= {"a", "b"}
    assert sorted(progress) == [(f"task {n}", f"at {n}") for n in (0, 1, 3, 4, 5, 6)]
    assert not running()


def test_nothing_runs_after_results_that_are_not_awaited():
    answers = pool_of("a").run(tasks(0, 1), lambda key, text: None)
    next(answers)
    answers.close()
    assert not running()


def test_a_running_worker_gets_the_next_task():
    with pool_of("a", "b", "c") as pool:
        pids = {
            answer["ok"]["pid"]
            for n in range(3)
            for _, answer, _ in pool.map(tasks(n if n < 2 else 3), LIMITS)
        }
        assert len(pids) == len(running()) == 1
    assert not running()


def test_an_interruption_ends_running_tasks_and_begins_no_other():
    begun = []
    pool = pool_of("a", "b")
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for _ in pool.map(tasks(-1, -2, -3), LIMITS, on_start=begun.append):
            pass
    assert time.monotonic() - start < 30
    assert begun == ["task -1", "task -2"]
    assert pool.interrupted.is_set()
    assert not running()


GIB = 2**30


@pytest.mark.parametrize(
    ("total", "stated", "processes", "parallel", "each"),
    [
        (20 * GIB, 0, 2, 2, 8 * GIB),  # shared as far as possible
        (20 * GIB, 0, 64, 8, 2 * GIB),  # but nobody gets less than 2 GiB
        (20 * GIB, 3 * GIB, 2, 2, 3 * GIB),  # a stated limit is that of a process
        (20 * GIB, 3 * GIB, 64, 5, 3 * GIB),
        (20 * GIB, 100 * GIB, 4, 1, 100 * GIB),
        (GIB, 0, 4, 1, int(0.8 * GIB)),
        (20 * GIB, 0, 1, 1, 16 * GIB),
    ],
)
def test_a_memory_limit_holds_for_each_process(
    monkeypatch, total, stated, processes, parallel, each
):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=total))
    assert share_memory(Limits(7.0, stated), processes) == (parallel, Limits(7.0, each))


def test_trainings_run_with_the_memory_limit_as_it_is_stated(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * GIB))
    pool = pool_of("a", "b", "c")
    pool.limits = Limits(60, 4 * GIB)
    places = {answer["ok"]["place"] for _, answer, _ in pool.run(tasks(0, 1, 3), lambda *_: None)}
    assert places == {"a"}  # 80% of the memory have room for one
    assert pool._workers[0].limits == pool.limits


@pytest.mark.parametrize(
    ("visible", "count", "gpus"),
    [
        (None, 0, []),
        (None, 3, ["0", "1", "2"]),
        ("", 0, []),
        ("2,3", 2, ["2", "3"]),
        ("2, 3,99", 2, ["2", "3"]),  # CUDA stops at the first that is not there
        ("GPU-8932f937,GPU-1f2e", 2, ["GPU-8932f937", "GPU-1f2e"]),
        ("MIG-a,MIG-b", 1, ["MIG-a", "MIG-b"]),  # CUDA shows one instance to a process
        ("-1", 0, []),
    ],
)
def test_trainings_keep_to_the_gpus_that_are_visible(monkeypatch, visible, count, gpus):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_gpus() == gpus
    cores = [{"OMP_NUM_THREADS": "1"} for _ in allowed_cores()]
    assert local_environments() == ([{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or cores)


def test_an_exception_of_the_work_ends_all():
    def fail(worker, n):
        worker.run({"n": n})
        if n == 1:
            raise ZeroDivisionError(n)

    with pytest.raises(ZeroDivisionError):
        list(pool_of("a", "b").each(fail, [0, 1, -1, -2]))
    assert not running()
