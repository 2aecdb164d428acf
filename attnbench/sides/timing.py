"""Base against head in time: exported networks in one process, all others in pairs of processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.running.process import Limits, Worker, WorkerError
from attnbench.sides.built import Network, Pair
from attnbench.sides.inside.networks import shape_of
from attnbench.sides.side import Builder
from attnbench.timing.samples import Samples

FEWEST_PROCESSES = 3
"""Each has a layout of its own, and of one or two the spread is not known."""
FEWEST_PAIRS = 8
"""Fresh pairs of processes: identical networks in two processes differ by 3 to 6%."""
_ARGUMENTS = ("-m", "attnbench.sides.timed")
_LIMIT_S = 600.0


@dataclass(frozen=True)
class Protocol:
    """How a network is timed.

    Attributes:
        budget_s: seconds of sampling in each process.
        processes: fresh processes for what can be exported.
        pairs: fresh pairs of processes for what cannot.
    """

    budget_s: float = 5.0
    processes: int = FEWEST_PROCESSES
    pairs: int = FEWEST_PAIRS

    @property
    def lone_s(self) -> float:
        """Seconds of each process of a pair; together they take what interleaving would."""
        return max(0.5, self.budget_s * self.processes / (2 * max(self.pairs, 1)))


@dataclass(frozen=True)
class Timed:
    """What was timed of one network.

    Attributes:
        samples: of each process that interleaved both sides.
        pairs: or of each pair of processes, base's and head's median logarithm of seconds.
        exports: why a side could not be exported; None where it could.
        error: why nothing was timed.
        guilty: the side whose error it is.
    """

    samples: tuple[Samples, ...] = ()
    pairs: tuple[tuple[float, float], ...] = ()
    exports: Mapping[str, str | None] | None = None
    error: str | None = None
    guilty: str = ""


def timed(
    pair: Pair,
    builders: tuple[Builder, Builder],
    folder: Path,
    protocol: Protocol,
    tell: Callable[[str], object],
) -> Timed:
    """Time a network of both sides.

    Args:
        pair: the network.
        builders: of base and head; they export, and wait meanwhile.
        folder: for artefacts.
        protocol: how long, how often.
        tell: is told what is done.
    """
    name = pair.name("latency")
    tell(f"{name}: exporting both sides")
    files = [folder / f"{one.side.name}.pt2" for one in builders]
    exports = {
        builder.side.name: _exported(builder, pair.network, file)
        for builder, file in zip(builders, files, strict=True)
    }
    if not any(exports.values()):
        samples, error = interleaved(name, shape_of(pair.network), files, protocol, tell)
        if error is None:
            return Timed(tuple(samples), exports=exports)
        # an operator of the project's own, that only its own process knows
        exports = dict.fromkeys(exports, f"its artefact cannot be timed: {error}")
    return _in_pairs(pair, builders, protocol, exports, tell)


def _exported(builder: Builder, network: Network, file: Path) -> str | None:
    """Export on one side; return why it cannot be."""
    answer = builder.ask(do="export", network=network, file=str(file))
    return answer.get("error")


def interleaved(
    name: str,
    shape: Sequence[int],
    files: Sequence[Path],
    protocol: Protocol,
    tell: Callable[[str], object],
) -> tuple[list[Samples], str | None]:
    """Time two artefacts and a copy of the first in fresh processes, one after the other.

    Args:
        name: of what is timed, for ``tell``.
        shape: of the input.
        files: what ``torch.export.save`` wrote of base and of head.
        protocol: how many processes, and how long each samples.
        tell: is told what is done.

    Returns:
        The samples of each process; or none, and why they cannot be timed.
    """
    found: list[Samples] = []
    for number in range(protocol.processes):
        process = f"process {number + 1} of {protocol.processes}"
        tell(f"{name}: timing base and head, {process}, {protocol.budget_s:g} s")
        task = {
            "base": str(files[0]),
            "head": str(files[1]),
            "shape": list(shape),
            "process": number,
            "sampling": {"budget_s": protocol.budget_s, "seed": number},
        }
        limits = Limits(_LIMIT_S + 10 * protocol.budget_s)
        with Worker(_ARGUMENTS, limits) as worker:  # each process has a layout of its own
            try:
                answer = worker.ask(task)
            except WorkerError as failure:
                return [], str(failure)
        if "error" in answer:
            return [], str(answer["error"])
        found.append(Samples.from_json(answer["ok"]))
    return found, None


def _in_pairs(
    pair: Pair,
    builders: tuple[Builder, Builder],
    protocol: Protocol,
    exports: Mapping[str, str | None],
    tell: Callable[[str], object],
) -> Timed:
    """Time each side alone in a fresh process, base first and head first in turn."""
    found: list[tuple[float, float]] = []
    for number in range(protocol.pairs):
        tell(
            f"{pair.name('latency')}: timing in pair {number + 1} of {protocol.pairs} of processes"
        )
        logs: dict[str, float] = {}
        for builder in builders if number % 2 == 0 else builders[::-1]:
            builder.stop()  # a fresh process starts with the next question
            answer = builder.ask(do="time", network=pair.network, seconds=protocol.lone_s)
            builder.stop()
            if "error" in answer:
                side = builder.side.name
                return Timed(exports=exports, error=str(answer["error"]), guilty=side)
            logs[builder.side.name] = answer["ok"]["log"]
        found.append((logs["base"], logs["head"]))
    return Timed(pairs=tuple(found), exports=exports)
