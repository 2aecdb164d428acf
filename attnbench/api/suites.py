"""Suites run from Python, as ``attnbench run`` runs them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from attnbench.api.suite_run import SuiteRun
from attnbench.errors import unknown
from attnbench.records.format import Record
from attnbench.records.store import Run
from attnbench.registry.plugins import catalog
from attnbench.registry.settings import settings
from attnbench.reports.run_report import write_tables
from attnbench.runner.job import Job, prepare
from attnbench.runner.run_suite import measure
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_main import check_executor, new_pool, new_worker
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.case import Case
from attnbench.suites.load import find_suite

KINDS = ("cost", "latency", "accuracy")


class StepLines:
    """Progress of a job as lines of text.

    Args:
        report: callback for each line; None for a silent run.
    """

    def __init__(self, report: Callable[[str], object] | None) -> None:
        self._report = report or str

    def begin(self, job: Job) -> None:
        """Report the number of cases to measure."""
        self._report(f"{job.suite.suite.name}: {len(job.pending)} cases to measure")

    def step(self, case: Case, text: str, share: float = 0.0) -> None:
        """Report the current step of a case."""
        self._report(text)

    def done(self, record: Record) -> None:
        """Report a case whose record is complete."""
        why = f": {record.reason}" if record.reason else ""
        self._report(f"{record.case} {record.status}{why}")

    def end(self) -> None:
        """Report nothing: the run is returned."""


def run_suite(
    suite: str | Path,
    *,
    out: str | Path | None = None,
    add: Sequence[str] = (),
    only: Sequence[str] = (),
    case: Sequence[str] = (),
    fresh: bool = False,
    plugins: Sequence[str | Path] = (),
    executor: str = "local",
    report: Callable[[str], object] | None = None,
) -> SuiteRun:
    """Measure the missing cases of a suite, write its tables and return the run.

    It does what ``attnbench run`` does, in the same worker processes: a run that was interrupted
    goes on where it stopped. A case that fails raises nothing; its row has the reason.

    Args:
        suite: name of a suite, or path of a .toml file.
        out: folder of runs; by default the project's, ``attnbench-results``.
        add: specs of additional modules, with rows of their own.
        only: kinds of cases: ``"cost"``, ``"latency"``, ``"accuracy"``; by default all.
        case: canonical names or globs of cases; by default all.
        fresh: measure everything again.
        plugins: plugin files that are not installed, in addition to the project's.
        executor: ``"local"``, or ``"ray"`` for trainings on a Ray cluster.
        report: called with a line about each step, such as ``print``.

    Raises:
        RequestError: there is no such suite, or an argument is wrong.
    """
    check_executor(executor)
    for kind in only:
        if kind not in KINDS:
            raise unknown("only", kind, KINDS)
    files = load_plugins(plugins)
    found = find_suite(str(suite), catalog())
    choice = Choice([*add], [*case], None, [*only], fresh)
    folder = out_folder(out) / found.suite.name
    job = prepare(found, catalog(), folder, choice, Measurers(catalog()))
    run = measure_job(job, files, report, executor)
    write_tables(run, run.path.parent)
    return SuiteRun(run)


def measure_job(
    job: Job,
    plugins: Sequence[str],
    report: Callable[[str], object] | None,
    executor: str,
    save: Path | None = None,
) -> Run:
    """Return the run of a job, measured in worker processes that load these plugin files."""
    with new_worker(plugins) as worker:
        pool = new_pool(executor, worker, plugins)
        return measure(job, worker, StepLines(report), pool, save)


def load_plugins(plugins: Sequence[str | Path]) -> list[str]:
    """Load plugin files and the project's, and return their paths, each once.

    Raises:
        PluginError: a file cannot be loaded.
    """
    files = [*settings().plugin_paths, *map(str, plugins)]
    unique = list({Path(file).resolve(): file for file in files}.values())
    for file in unique:
        catalog().load_file(file)
    return unique


def out_folder(out: str | Path | None) -> Path:
    """Return the folder of runs, by default the project's."""
    return Path(settings().runs if out is None else out)
