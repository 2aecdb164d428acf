"""Sweeps of trainings through the real runner: in worker processes, interrupted, killed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from attnbench.records.store import read_run
from attnbench.registry.plugins import catalog
from attnbench.reports.tables.build import build_report
from attnbench.runner.job import CHECKPOINTS, prepare
from attnbench.runner.run_suite import measure
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_main import new_worker
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.load import find_suite
from attnbench.workers.pool import WorkerPool
from attnbench.workers.process import Limits

from ..tiny_recipe import tiny_recipe

KILLS = int(os.environ.get("ATTNBENCH_TEST_KILLS", "4"))
"""Of a sweep in one process."""
LONG_KILLS = int(os.environ.get("ATTNBENCH_TEST_LONG_KILLS", "1"))
"""Of the command line with its workers, which take seconds to start."""
SUITE = """\
[suite]
name = "sweep"
title = "A sweep"

[accuracy]
dataset = "synthetic,classes=6,count={count}"
recipe = "{recipe}"
seeds = {seeds}

[[table]]
columns = ["label", "params", "top1"]
accuracy = {{}}

[[table.row]]
backbone = "mobilenet_v1,width=0.1"

[[table.row]]
backbone = "mobilenet_v1,width=0.1"
module = {modules}
placement = "after:4,8"
"""
DIVERGING = """
[[table]]
columns = ["label"]
accuracy = {{ recipe = "{recipe}", seeds = 1 }}

[[table.row]]
backbone = "mobilenet_v1,width=0.1"
"""


class Told:
    """What is told while a suite runs."""

    def __init__(self):
        self.records, self.steps, self.over = [], [], False

    def begin(self, job):
        self.job = job

    def step(self, case, text, share=0.0):
        self.steps.append(text)

    def done(self, record):
        # what is told is on disk, and its checkpoint is not forgotten before that
        assert read_run(self.job.folder / "records.jsonl").records[record.case] == record
        self.records.append(record)

    def end(self):
        self.over = True


def swept(path, out, places=1, **choice):
    """Run a suite in this process, trainings in workers, and return run, progress and job."""
    job = prepare(
        find_suite(str(path), catalog()),
        catalog(),
        out / "sweep",
        Choice(**choice),
        Measurers(catalog()),
    )
    told = Told()
    with new_worker() as worker:
        pool = WorkerPool(worker, [{"OMP_NUM_THREADS": "1"}] * places)
        run = measure(job, worker, told, pool, save=out / "weights")
    return run, told, job


def recipe_of(epochs, lr):
    return tiny_recipe(epochs=epochs, lr=lr, schedule="constant", flip=True)


def written(folder, seeds, *, modules='["identity"]', count=96, epochs=2, diverging=False):
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe_of(epochs, 0.05))
    suite = folder / "sweep.toml"
    text = SUITE.format(recipe=recipe, seeds=seeds, modules=modules, count=count)
    if diverging:
        wild = folder / "wild.toml"
        wild.write_text(recipe_of(30, 1e30))
        text += DIVERGING.format(recipe=wild)
    suite.write_text(text)
    return suite


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def first(folder):
    """Two seeds of two networks, and one training that diverges, two at a time."""
    return swept(written(folder, 2, diverging=True), folder / "out", places=2)


def trainings(records):
    return [one for one in records if one.kind == "accuracy"]


class TestSweep:
    def test_every_training_has_its_record(self, first):
        run, told, job = first
        assert set(run.records) == {case.name for case in job.cases}
        good = [one for one in trainings(run.records.values()) if one.status == "ok"]
        found = {(one.conditions["module"], one.conditions["training"]["seed"]) for one in good}
        assert len(good) == 4
        assert found == {(None, 0), (None, 1), ("identity", 0), ("identity", 1)}
        assert told.over
        for one in good:
            assert one.values["steps"] == 6
            assert one.training["images"] == [96, 24]
            assert one.training["threads"] == 1
            assert one.seconds > 0

    def test_workers_give_what_this_process_gives(self, first):
        """Also the pairs: the arm with the identity is the plain backbone, seed by seed."""
        run, _, job = first
        by = {
            (one.conditions["module"], one.conditions["training"]["seed"]): one
            for one in trainings(run.records.values())
            if one.status == "ok"
        }
        for seed in (0, 1):
            assert by[None, seed].values == by["identity", seed].values
            assert by[None, seed].training["curve"] == by["identity", seed].training["curve"]
        assert by[None, 0].training["curve"] != by[None, 1].training["curve"]
        case = next(one for one in job.cases if one.training and one.training.seed == 1)
        own = Measurers(catalog()).accuracy.measure(case)
        assert own["values"] == run.records[case.name].values
        assert own["training"]["correct"] == run.records[case.name].training["correct"]

    def test_one_that_diverges_fails_and_the_others_go_on(self, first):
        run, _, _ = first
        (failed,) = [one for one in trainings(run.records.values()) if one.status == "failed"]
        assert "step" in failed.reason
        assert any(word.strip("., :").isdigit() for word in failed.reason.split())
        assert failed.values == {}

    def test_checkpoints_are_gone_and_weights_are_kept(self, first, folder):
        _, _, job = first
        assert not (job.folder / CHECKPOINTS).exists()
        assert len(list((folder / "out" / "weights").glob("*.pt"))) == 4

    def test_what_was_said_on_the_way(self, first):
        _, told, _ = first
        assert any("loading data" in text for text in told.steps)

    def test_tables_can_be_written(self, first):
        run, _, job = first
        report = build_report(
            job.suite, job.tables, {k: v.model_dump() for k, v in run.records.items()}, {}
        )
        (plain, arm) = report.tables[0].rows
        assert "synthetic pictures" in arm[-1].plain
        assert plain[-2].plain == arm[-2].plain

    def test_another_run_trains_nothing_that_is_there(self, first, folder):
        run, _, _ = first
        again, told, job = swept(written(folder, 2), folder / "out")
        assert job.missing == []
        assert told.records == []
        assert {case.name for case in job.cases} < run.records.keys()
        assert all(again.records[case.name] == run.records[case.name] for case in job.cases)

    def test_a_third_seed_is_all_that_is_trained(self, first, folder):
        run, _, _ = first
        again, told, _ = swept(written(folder, 3), folder / "out")
        assert {one.conditions["training"]["seed"] for one in told.records} == {2}
        assert len(told.records) == 2
        assert all(again.records[name] == one for name, one in run.records.items())

    def test_one_case_can_be_chosen(self, folder):
        path = written(folder, 2)
        job = prepare(
            find_suite(str(path), catalog()),
            catalog(),
            folder / "other" / "sweep",
            Choice(globs=["accuracy/*/identity/*seed=1"]),
            Measurers(catalog()),
        )
        assert [case.training.seed for case in job.cases] == [1]


def test_checkpoints_that_a_kill_left_behind_are_removed(first, folder):
    """A kill between a record and the end of its checkpoint."""
    _, _, job = first
    case = next(one for one in job.cases if one.kind == "accuracy")
    left = job.folder / CHECKPOINTS / job.hashes[case.name]
    left.mkdir(parents=True)
    (left / "current").mkdir()
    swept(written(folder, 2), folder / "out")
    assert not (job.folder / CHECKPOINTS).exists()


def test_a_lost_training_keeps_its_checkpoint(folder, tmp_path):
    """Its next run goes on from there; one that ended by itself has none to keep."""

    class Losing:
        limits = Limits()

        def run(self, tasks, tell):
            for number, (case, task) in enumerate(tasks.items()):
                Path(task["folder"]).mkdir(parents=True)
                lost = {"lost": True} if number == 0 else {}
                yield case, {"error": "gone", **lost}, 1.0

    suite = find_suite(str(written(folder, 1)), catalog())
    job = prepare(
        suite, catalog(), tmp_path / "sweep", Choice(only=("accuracy",)), Measurers(catalog())
    )
    with new_worker() as worker:
        run = measure(job, worker, Told(), Losing())
    assert [one.status for one in run.records.values()] == ["failed", "failed"]
    kept = [path.name for path in (job.folder / CHECKPOINTS).iterdir()]
    assert kept == [job.hashes[job.cases[0].name]]


# checkpoints several times in a second; nothing where the command line itself loads it
PLUGIN = """\
import sys
if sys.argv[0].endswith("worker_main.py"):
    import attnbench.training.loop as loop
    loop._SAVE_S = 0.2
"""


# imports once, then forks a process for each run and kills it after some of its own time: no kill
# is spent on starting up, however busy the machine is
DRIVER = """\
import os, random, signal, sys, time
from pathlib import Path
import psutil, torch
import attnbench.training.loop as loop
from attnbench.registry.plugins import catalog
from attnbench.workers.process import Limits
from attnbench.runner.job import prepare
from attnbench.runner.run_suite import measure
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_tasks import Measurers, WorkerTasks
from attnbench.runner.worker_main import new_worker
from attnbench.suites.load import find_suite

torch.set_num_threads(1)
loop._SAVE_S = 0.1

class Here:
    limits = Limits()
    def run(self, tasks, tell):
        for case, task in tasks.items():
            own = WorkerTasks(Measurers(catalog()), lambda text: tell(case, text))
            yield case, {"ok": own.do(task)}, 1.0

class Silent:
    begin = step = done = lambda self, *words: None
    end = lambda self: None

def run(out):
    pid = os.fork()
    if pid == 0:
        try:
            suite = find_suite(sys.argv[1], catalog())
            choice = Choice(only=("accuracy",))
            job = prepare(suite, catalog(), Path(out) / "sweep", choice, Measurers(catalog()))
            measure(job, new_worker(), Silent(), Here())
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return pid

def waited(pid):
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit("a run failed")

folder, kills, chance = Path(sys.argv[2]), int(sys.argv[3]), random.Random(sys.argv[4])
waited(run(folder / "whole"))
done = sweeps = 0
while done < kills:
    sweeps += 1
    out = folder / f"killed-{sweeps}"
    while done < kills:
        pid, limit = run(out), chance.uniform(0.2, 1.5)
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE and sum(process.cpu_times()[:2]) < limit:
            time.sleep(0.001)
        if process.status() == psutil.STATUS_ZOMBIE:
            waited(pid)
            break
        under_way = len(list(out.glob("sweep/checkpoints/*/current")))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        done += 1
        found = out / "sweep" / "records.jsonl"
        kind = b'"kind":"accuracy","status"'
        records = found.read_bytes().count(kind) if found.exists() else 0
        print(f"killed after {limit:.1f} s: {records} records, {under_way} checkpoints", flush=True)
    else:
        waited(run(out))
"""


class TestKills:
    """However a sweep is killed, and however often, it ends as if nothing had been."""

    @pytest.fixture
    def suite(self, tmp_path, request):
        return written(tmp_path, request.param, modules='["se"]', count=128, epochs=4)

    @pytest.mark.parametrize("suite", [2], indirect=True, ids=["2 seeds"])
    def test_the_records_are_those_of_an_undisturbed_run(self, suite, tmp_path, fork_server):
        seed = os.environ.get("ATTNBENCH_TEST_SEED", "0")
        driver = tmp_path / "driver.py"
        driver.write_text(DRIVER)
        words = [str(driver), str(suite), str(tmp_path), str(KILLS), seed]
        done = fork_server.run([sys.executable, "-P", *words], os.environ)
        assert done.returncode == 0, done.stderr
        sys.stderr.write(done.stdout)
        assert len(done.stdout.splitlines()) == KILLS
        expected = _lasting(tmp_path / "whole")
        assert len(expected) == 4
        killed = sorted(tmp_path.glob("killed-*"))
        assert killed
        for out in killed:
            assert _lasting(out) == expected
            assert not (out / "sweep" / CHECKPOINTS).exists()

    @pytest.fixture
    def begin(self, suite, tmp_path, fork_server):
        plugin = tmp_path / "often.py"
        plugin.write_text(PLUGIN)
        with (tmp_path / "err").open("w") as errors:
            yield lambda out: fork_server.attnbench(
                "run", suite, "--plugin", plugin, "--out", out, stderr=errors, cwd=tmp_path
            )

    @pytest.mark.parametrize("suite", [1], indirect=True, ids=["1 seed"])
    def test_so_are_those_of_the_command_line_and_its_workers(self, begin, suite, tmp_path):
        chance = random.Random(os.environ.get("ATTNBENCH_TEST_SEED", "0"))
        kills, sweeps, seen = 0, 0, []
        while kills < LONG_KILLS:
            sweeps += 1
            out = tmp_path / f"killed-{sweeps}"
            while kills < LONG_KILLS and _killed(begin, chance, seen, out):
                kills += 1
            with begin(out.name) as process:
                assert process.wait() == 0
            assert not (out / "sweep" / CHECKPOINTS).exists()
        sys.stderr.write("\n".join([f"{kills} kills in {sweeps} sweeps", *seen, ""]))
        # one case, trained here without any interruption, is enough to tell
        found = find_suite(str(suite), catalog())
        measurers = Measurers(catalog())
        job = prepare(found, catalog(), out / "sweep", Choice(only=("accuracy",)), measurers)
        assert job.missing == []
        case = job.cases[-1]
        own, record = measurers.accuracy.measure(case), job.done[case.name]
        assert own["values"] == record.values
        assert own["training"]["correct"] == record.training["correct"]
        assert own["training"]["curve"] == record.training["curve"]


def _killed(begin, chance, seen, out):
    """Kill a run at a random instant; False if it had ended by itself."""
    with begin(out.name) as process:
        return _struck(process, chance, seen, out)


def _struck(process, chance, seen, out):
    whom = chance.choice(("all", "all", "runner", "worker"))
    early = chance.random() < 0.2
    pause = chance.uniform(0, 2.5 if early else 1.5)
    if not early:  # start-up takes long and as long as the machine likes: then from what is done
        before = _progress(out)
        while process.poll() is None and _progress(out) == before:
            time.sleep(0.02)
    try:
        process.wait(pause)
    except subprocess.TimeoutExpired:
        pass
    else:
        return False
    under_way = len(list(out.glob(f"sweep/{CHECKPOINTS}/*/current")))
    seen.append(f"{whom}, {under_way} checkpoints, {_records(out)} records")
    if whom == "worker":
        for child in psutil.Process(process.pid).children(recursive=True)[-1:]:
            child.kill()
        process.wait(300)  # it goes on with the others
    elif whom == "runner":
        process.kill()
        process.wait()
        time.sleep(1.5)  # its workers see that within a second
    else:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return True


def _progress(out):
    """Return what tells that trainings got on: records, and when checkpoints were written."""
    times = []
    for path in out.glob(f"sweep/{CHECKPOINTS}/*/current"):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns)
    return _records(out), max(times, default=0)


def _records(out):
    path = out / "sweep" / "records.jsonl"
    return path.read_bytes().count(b'"kind":"accuracy","status"') if path.exists() else 0


def _lasting(out):
    """Return what a run's records say, without times."""
    run = read_run(out / "sweep" / "records.jsonl")
    found = {}
    for name, record in run.records.items():
        content = json.loads(record.model_dump_json())
        content.pop("seconds")
        for key in ("training_s", "images_per_s"):
            (content["training"] or {}).pop(key, None)
        found[name] = content
    assert {one["status"] for one in found.values()} == {"ok"}
    return found
