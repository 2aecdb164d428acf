"""Running the command line in this process, as a user would in a shell."""

import json
import sys
import threading
import warnings
from dataclasses import dataclass

import pytest

from attnbench.cli import app, output
from attnbench.registry.plugins import catalog
from attnbench.utils import process_settings


@dataclass
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def workers_start_fast(forked_workers):
    """The commands of these tests fork their workers; tests/workers starts them as users do."""


@pytest.fixture(scope="package", autouse=True)
def the_probe_takes_no_second():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("attnbench.runner.eta.probe_speed", lambda: 0.01)
        yield


@pytest.fixture(autouse=True)
def forget_plugins():
    """Plugin files of one test, and what they changed, must not be known to the next."""
    before = catalog().modules.entries()
    yield
    catalog().modules.restore(before)
    catalog().files.clear()
    process_settings._CHANGES.clear()
    output._LOGGED.clear()


@pytest.fixture
def attnbench(capfd, monkeypatch, tmp_path):
    """Call ``attnbench("cost", "-b", ...)`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["attnbench", *map(str, words)])
        status = 0
        try:
            app.main()
        except SystemExit as end:
            status = end.code or 0
        captured = capfd.readouterr()
        return Done(status, captured.out, captured.err)

    return call


class WorkerHere:
    """Does in this process what a worker process would: same tasks, same JSON, no start-up.

    Whatever is about processes (crashes, kills, limits, fresh ones) needs the real one.
    """

    _turn = threading.Lock()
    """Provers ask from threads of their own."""

    def __init__(self, plugins=(), limits=None, *_):
        self._plugins = tuple(plugins)
        self.limits = limits
        self._tasks = None
        self._tell = str

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def copy(self, environment=None):
        return WorkerHere(self._plugins, self.limits)

    def start(self):
        pass

    def stop(self):
        self._tasks = None  # nothing that it has built is known to the next

    def run(self, task, on_progress=str):
        from attnbench.runner.worker_tasks import Measurers, WorkerTasks
        from attnbench.workers.serve import answer_of

        with self._turn, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as a worker does
            if self._tasks is None:
                for path in self._plugins:
                    catalog().load_file(path)
                self._tasks = WorkerTasks(Measurers(catalog()), lambda text: self._tell(text))
            self._tell = on_progress
            return json.loads(json.dumps(answer_of(self._tasks, json.loads(json.dumps(task)))))


@pytest.fixture
def worker_here(monkeypatch):
    """Commands of this test measure in this process."""
    monkeypatch.setattr("attnbench.runner.worker_main.new_worker", WorkerHere)


@pytest.fixture(scope="session")
def run_here():
    """Call ``run_here(folder, "run", ...)`` once for several tests; it measures in this process."""

    def call(folder, *words):
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(folder)
            patched.setattr("attnbench.runner.worker_main.new_worker", WorkerHere)
            patched.setattr(sys, "argv", ["attnbench", *words])
            with pytest.raises(SystemExit) as end:
                app.main()
            assert not end.value.code

    return call
