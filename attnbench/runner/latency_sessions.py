"""Sessions: latency cases that share one plain network are timed together, in fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from attnbench.suites.case import Case
from attnbench.suites.conditions import Conditions
from attnbench.suites.serialize import case_to_json
from attnbench.timing.isolation import allowed_cores
from attnbench.workers.process import Limits, Worker
from attnbench.workers.validation_pool import ValidationPool, answered

_LOAD_LIMIT_S = 120.0
"""What loading one arm in a fresh process may take; compilers take tens of seconds."""


@dataclass(frozen=True)
class Session:
    """Latency cases of one backbone, input and conditions: the arms of one comparison."""

    cases: tuple[Case, ...]

    @property
    def plain(self) -> Case:
        """The network that all arms are compared with."""
        return self.cases[0].plain

    @property
    def arms(self) -> tuple[Case, ...]:
        """The cases that are not the plain network itself."""
        return tuple(case for case in self.cases if case != self.plain)

    @property
    def conditions(self) -> Conditions:
        """What all arms share."""
        conditions = self.cases[0].conditions
        if conditions is None:
            raise ValueError(f"{self.cases[0].name} is not a latency case")
        return conditions


@dataclass(frozen=True)
class SessionProtocol:
    """How a session is sampled."""

    budget_s: float
    """Seconds of sampling in each process, after warm-up."""
    processes: int
    width: float | None = None
    """Half-width of the intervals at which sampling may stop early; None for the sampler's own."""

    def sampling(self, process: int) -> dict[str, Any]:
        """Return the sampler's arguments for the process of that number."""
        width = {} if self.width is None else {"width": self.width}
        return {"budget_s": self.budget_s, "seed": process, **width}


@dataclass
class CaseOutcome:
    """What became of one case: its proof and its samples, or why there are none."""

    proof: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


def sessions(cases: Iterable[Case]) -> list[Session]:
    """Return latency cases by session, in the order of their first cases."""
    found: dict[Case, list[Case]] = {}
    for case in cases:
        found.setdefault(case.plain, []).append(case)
    return [Session(tuple(members)) for members in found.values()]


class SessionRunner:
    """Measures sessions in worker processes: proofs side by side, then sampling alone.

    Args:
        worker: samples; it is replaced by a fresh process each time. Cases are proved by others
            like it, which idle meanwhile.
        folder: for exported artefacts, shared by all processes.
        limit_s: seconds after which proving a case is given up.
        memory_bytes: resident size above which a process is ended.
        provers: processes that prove at the same time; by default one for each core it may use.
    """

    def __init__(
        self,
        worker: Worker,
        folder: Path,
        limit_s: float = 600.0,
        memory_bytes: int = 0,
        provers: int | None = None,
    ) -> None:
        self.worker = worker
        self.folder = folder
        self.limit_s = limit_s
        self.memory_bytes = memory_bytes
        self._provers = ValidationPool(worker, provers or len(allowed_cores()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._provers.stop()

    def measure(
        self, session: Session, protocol: SessionProtocol, tell: Callable[[str], None]
    ) -> dict[str, CaseOutcome]:
        """Return what became of each case, by its name; never raises for a case's own fault."""
        proved = self._proved(dict.fromkeys((session.plain, *session.cases)), tell)
        plain = proved[session.plain]
        if plain.error is not None:
            why = f"the plain network failed: {plain.error}"
            return {
                case.name: plain if case == session.plain else CaseOutcome(error=why)
                for case in session.cases
            }
        outcomes = {case.name: proved[case] for case in session.cases}
        good = [case for case in session.cases if outcomes[case.name].error is None]
        if good:
            self._sample(session, good, outcomes, protocol, tell)
        return outcomes

    def _proved(
        self, cases: Iterable[Case], tell: Callable[[str], None]
    ) -> dict[Case, CaseOutcome]:
        self._provers.limits = Limits(self.limit_s, self.memory_bytes)
        tasks = {
            case: {"do": "prove", "case": case_to_json(case), "folder": str(self.folder)}
            for case in cases
        }
        answers = self._provers.ask(tasks, lambda case: tell(f"{case.name}: building"))
        return {
            case: CaseOutcome(answer.get("ok") or {}, error=answer.get("error"))
            for case, answer in answers.items()
        }

    def _sample(
        self,
        session: Session,
        cases: Sequence[Case],
        outcomes: dict[str, CaseOutcome],
        protocol: SessionProtocol,
        tell: Callable[[str], None],
    ) -> None:
        """Time proved cases once for each process; who cannot be timed leaves the others be."""
        for case in cases:
            outcomes[case.name].samples.clear()
        for number in range(protocol.processes):
            tell(_sampling(session, len(cases), number, protocol))
            self.worker.limits = Limits(self._patience(len(cases), protocol), self.memory_bytes)
            answer = answered(self.worker, _task(cases, self.folder, protocol, number))
            self.worker.stop()  # the next one's layout of memory must not be this one's
            if "error" in answer:
                for part in _parts(cases, answer, outcomes):
                    self._sample(session, part, outcomes, protocol, tell)
                return
            for case in cases:
                outcomes[case.name].samples.append(answer["ok"][case.name])

    def _patience(self, arms: int, protocol: SessionProtocol) -> float:
        return self.limit_s + (arms + 2) * _LOAD_LIMIT_S + 10 * protocol.budget_s


def _parts(
    cases: Sequence[Case], answer: dict[str, Any], outcomes: dict[str, CaseOutcome]
) -> list[Sequence[Case]]:
    """What of a session that failed is timed again: all but the guilty one, or each half."""
    guilty = [case for case in cases if case.name == answer.get("arm")]
    if len(cases) == 1:
        guilty = list(cases)
    for case in guilty:
        outcomes[case.name].error = f"while timing: {answer['error']}"
    if guilty:
        rest = [case for case in cases if case not in guilty]
        return [rest] if rest else []
    middle = len(cases) // 2  # nobody is named: the process died, or the plain network failed
    return [cases[:middle], cases[middle:]]


def _task(
    cases: Sequence[Case], folder: Path, protocol: SessionProtocol, number: int
) -> dict[str, Any]:
    return {
        "do": "sample",
        "cases": [case_to_json(case) for case in cases],
        "folder": str(folder),
        "sampling": protocol.sampling(number),
    }


def _sampling(session: Session, arms: int, number: int, protocol: SessionProtocol) -> str:
    where = session.plain.name.removeprefix("latency/")
    what = "1 arm" if arms == 1 else f"{arms} arms"
    process = f"process {number + 1} of {protocol.processes}"
    return f"{where}: timing {what}, {process}, {protocol.budget_s:g} s"
