"""Inspection of each network on both sides; a check that each side runs its own code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.regression.ci.checkout_process import Side, SideProcess
from attnbench.suites.case import Case
from attnbench.workers.answers import Answer

COSTS = ("params", "macs", "activations", "bytes", "operators")
Network = dict[str, Any]
"""Network as the bridge's protocol describes it."""


@dataclass(frozen=True)
class InspectedNetwork:
    """A network on one side, or the reason why it could not be built.

    Attributes:
        classes: class, file, kind of place, hash.
        sources: file -> hash of all that it depends on.
        cost: params, macs, activations, bytes, operators; those that the side counts.
        error: why it could not be built.
        unknown: whether this side has no such module.
    """

    classes: tuple[Mapping[str, str], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    unknown: bool = False

    @classmethod
    def of_answer(cls, answer: Answer) -> InspectedNetwork:
        """Return the network in a side's answer."""
        if "error" in answer:
            return cls(error=str(answer["error"]), unknown=answer.get("kind") == "unknown-name")
        found = answer["ok"]
        return cls(tuple(found["classes"]), found["sources"], found["cost"])


@dataclass(frozen=True)
class NetworkPair:
    """One network on both sides."""

    network: Network
    base: InspectedNetwork
    head: InspectedNetwork

    @property
    def is_built(self) -> bool:
        """Return whether both sides could build it."""
        return self.base.error is None and self.head.error is None

    @property
    def untouched(self) -> bool:
        """Return whether its sources, and every metric that both sides count, are the same."""
        costs = [self.base.cost[metric] == self.head.cost[metric] for metric in self.counted]
        return self.is_built and self.base.sources == self.head.sources and all(costs)

    @property
    def counted(self) -> tuple[str, ...]:
        """Metrics of cost that both sides count."""
        return tuple(metric for metric in self.base.cost if metric in self.head.cost)

    def name(self, kind: str) -> str:
        """Return the canonical name of its case of a kind."""
        return case_of(self.network, kind).name


def input_shape(network: Network) -> tuple[int, ...]:
    """Return the shape of one image, or of one feature map for a module alone."""
    channels = 3 if network["backbone"] else network["channels"]
    return (1, channels, *network["size"])


def case_of(network: Network, kind: str) -> Case:
    """Return the case of a network; latency without a runtime: the exported graph is timed."""
    height, width = network["size"]
    return Case(
        kind=kind,
        backbone=network["backbone"],
        module=network["module"],
        placement=network["placement"],
        channels=network["channels"],
        size=(height, width),
        fused=network.get("fused", False),
    )


def inspect_networks(
    networks: Sequence[Network],
    processes: tuple[SideProcess, SideProcess],
    files: frozenset[str],
    progress: Callable[[str], object],
) -> list[NetworkPair]:
    """Return each network as it is on both sides; ``files`` are those of the repository.

    Raises:
        AttnbenchError: a class came from outside its own tree.
    """
    pairs = []
    with ThreadPoolExecutor(len(processes)) as threads:
        for network in networks:
            progress(f"{case_of(network, 'cost').name}: building both sides")
            inspect = partial(SideProcess.answer, do="inspect", network=network)
            answers = list(threads.map(inspect, processes))
            for process, answer in zip(processes, answers, strict=True):
                check_origins(process.side, answer, files)
            base, head = map(InspectedNetwork.of_answer, answers)
            pairs.append(NetworkPair(network, base, head))
    return pairs


def check_origins(side: Side, answer: Answer, files: frozenset[str]) -> None:
    """Raise :class:`AttnbenchError` for code that did not come from the side's own tree."""
    found = answer.get("ok") or {}
    for entry in (*found.get("foreign", ()), *found.get("classes", ())):
        is_elsewhere = entry["kind"] in ("installed", "beside")
        if entry["kind"] == "foreign" or (is_elsewhere and _is_ours(entry, side, files)):
            raise AttnbenchError(
                f"{entry['class']} of {side.name} was imported from outside its tree {side.tree}: "
                f"got {entry['file']}. Name the folder of its package with --source, or use "
                "--install"
            )


def _is_ours(entry: Mapping[str, str], side: Side, files: frozenset[str]) -> bool:
    """Return whether the repository has the module that was loaded from elsewhere."""
    path = entry["class"].partition(":")[0].replace(".", "/")
    return any(_holds(files, tail, side) for tail in (f"{path}.py", f"{path}/__init__.py"))


def _holds(files: frozenset[str], tail: str, side: Side) -> bool:
    if "/" in tail.removesuffix("/__init__.py"):
        return any(file == tail or file.endswith(f"/{tail}") for file in files)
    # a single file of a common name (utils.py) may lie anywhere: only where it would be imported
    folders = [folder for folder in side.sources if folder.is_relative_to(side.tree)]
    places = [(folder.relative_to(side.tree) / tail).as_posix() for folder in folders]
    return any(place in files for place in places)
