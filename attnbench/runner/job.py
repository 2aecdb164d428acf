"""Jobs: a planned and checked suite, with the cases of it that are still to be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.cost import card_facts
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.records.cache_key import fingerprint
from attnbench.records.format import Record
from attnbench.records.result_values import plain_text
from attnbench.records.store import FILE, Run, read_run
from attnbench.registry.plugins import Catalog
from attnbench.runner.latency_sessions import SessionProtocol
from attnbench.runner.select_cases import Choice, select_cases
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.case import Case
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.planned import PlannedTable
from attnbench.suites.schema import Accuracy, Suite

CHECKPOINTS = "checkpoints"
"""Name of the folder, in the folder of a run, for the checkpoints of unfinished trainings."""
_GIB = 2**30


@dataclass(frozen=True)
class Job:
    """A planned and validated suite with the state of its cases in a folder."""

    suite: Suite
    tables: list[PlannedTable]
    cases: list[Case]
    """Chosen cases, in order."""
    folder: Path | None = None
    """Folder of the run; None for a run that is kept in memory only."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Hash of each case of a run with a folder."""
    done: Mapping[str, Record] = field(default_factory=dict)
    """Valid records of chosen cases."""
    described: Sequence[Record] = ()
    """Records of ``done`` with changed card texts: written again without measurement."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Reasons by skipped case: an optional extra is not installed."""
    known: Run | None = None
    protocols: Mapping[str, SessionProtocol] = field(default_factory=dict)
    """Sampling protocol of each latency case."""
    accuracies: Mapping[str, Accuracy] = field(default_factory=dict)
    """Accuracy settings of each accuracy case."""
    race_s: float | None = None
    """Time in seconds after which a race starts no further round."""
    probe_s: float | None = None
    """Present speed of this machine, see :mod:`attnbench.system.speed_probe`."""

    @property
    def missing(self) -> list[Case]:
        """Return the cases to measure."""
        return [case for case in self.cases if case.name not in self.done]

    @property
    def pending(self) -> list[Case]:
        """Return the cases to measure that are not skipped."""
        return [case for case in self.missing if case.name not in self.skipped]

    @property
    def memory_bytes(self) -> int:
        """Return the limit of the resident memory of a case; 0 for the default."""
        return int((self.suite.suite.memory_gib or 0) * _GIB)

    def checkpoint(self, key: str) -> Path | None:
        """Return the checkpoint folder of a training, given by its hash."""
        return self.folder / CHECKPOINTS / key if self.folder else None


def prepare(
    suite: Suite,
    catalog: Catalog,
    folder: Path | None,
    choice: Choice,
    measurers: Measurers,
    *,
    request: str = "",
) -> Job:
    """Plan a suite and check every chosen case before the first measurement.

    Args:
        suite: the suite.
        catalog: catalog for the lookup of modules.
        folder: folder of the run, whose valid records are not measured again; None for a run in
            memory.
        choice: selection of cases.
        measurers: measurers for the checks.
        request: kind of the cases that a command's options request, instead of a suite file:
            only they are chosen, and errors do not name the suite.

    Raises:
        RequestError: a spec, placement or choice is wrong.
        RecordError: the folder contains a damaged record file.
    """
    tables = plan(suite, catalog, choice.added, IsoMacBaselines(measurers.cost), request)
    return prepare_tables(suite, tables, catalog, folder, choice, measurers, request=request)


def prepare_tables(
    suite: Suite,
    tables: list[PlannedTable],
    catalog: Catalog,
    folder: Path | None,
    choice: Choice,
    measurers: Measurers,
    *,
    request: str = "",
) -> Job:
    """Return the job of planned tables, as :func:`prepare` does."""
    cases = select_cases(
        all_cases(tables), replace(choice, only=(request,) if request else choice.only)
    )
    accuracies = _accuracies(suite, tables)
    skipped = _check(cases, "" if request else suite.suite.name, measurers, accuracies)
    protocols = _protocols(suite, tables)
    known, hashes, done, described = None, {}, {}, []
    if folder is not None:
        known = _known_run(folder / FILE)
        hashes = {
            case.name: fingerprint(case, suite, catalog, protocols.get(case.name)) for case in cases
        }
        if known is not None and not choice.fresh:
            done = _still_valid(known, hashes, skipped)
        described = list(_described_anew(cases, done, catalog))
        done |= {record.case: record for record in described}
    return Job(
        suite=suite,
        tables=tables,
        cases=cases,
        folder=folder,
        hashes=hashes,
        done=done,
        described=described,
        skipped=skipped,
        known=known,
        protocols=protocols,
        accuracies=accuracies,
    )


def _check(
    cases: Sequence[Case], suite: str, measurers: Measurers, accuracies: Mapping[str, Accuracy]
) -> dict[str, str]:
    """Check all cases and return the reason of each case that lacks an extra or a GPU."""
    skipped: dict[str, str] = {}
    for case in cases:
        try:
            measurers.of(case).check(case)
            if not suite:  # a case of a suite fails for itself, in a worker
                measurers.try_module(case)
            if case.kind == "accuracy" and accuracies[case.name].gpu:
                measurers.require_gpu()
        except MissingExtraError as error:
            skipped[case.name] = str(error)
        except RequestError as error:
            if not suite:
                raise
            raise type(error)(f"suite {suite}, case {case.name}: {error}") from error
    return skipped


def _known_run(path: Path) -> Run | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    if b"\n" not in path.read_bytes():  # the run was killed while it wrote the first line
        return None
    return read_run(path)


def _still_valid(
    known: Run, hashes: Mapping[str, str], skipped: Mapping[str, str]
) -> dict[str, Record]:
    found = {name: known.records[name] for name in hashes if name in known.records}
    return {
        name: record
        for name, record in found.items()
        if record.hash == hashes[name]
        and (record.status == "ok" or (record.status == "skipped" and name in skipped))
    }


def _described_anew(
    cases: Sequence[Case], done: Mapping[str, Record], catalog: Catalog
) -> Iterator[Record]:
    """Yield each valid cost record with an outdated card, with the current card.

    The texts of a card are not part of the hash, but tables read them from the record.
    """
    for case in cases:
        record = done.get(case.name)
        if record is not None and case.kind == "cost" and record.status == "ok":
            card = plain_text(card_facts(case.resolve(catalog).attention))
            if record.card != card:
                yield record.model_copy(update={"card": card})


def _protocols(suite: Suite, tables: Sequence[PlannedTable]) -> dict[str, SessionProtocol]:
    """Return the sampling protocol of each latency case, from the first table that contains it."""
    found: dict[str, SessionProtocol] = {}
    for table in tables:
        latency = suite.latency_of(table.layout)
        if latency is not None:
            protocol = SessionProtocol(latency.budget_s, latency.processes)
            names = (case.name for row in table.rows for case in row.latency)
            found = dict.fromkeys(names, protocol) | found
    return found


def _accuracies(suite: Suite, tables: Sequence[PlannedTable]) -> dict[str, Accuracy]:
    """Return the accuracy settings of each accuracy case, from the first table that contains it."""
    found: dict[str, Accuracy] = {}
    for table in tables:
        accuracy = suite.accuracy_of(table.layout)
        if accuracy is not None:
            rows = [case for row in table.rows for cases in row.accuracy for case in cases]
            rows += [case for row in table.rows for case in row.against]
            found = dict.fromkeys((case.name for case in rows), accuracy) | found
    return found
