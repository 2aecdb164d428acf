"""What both sides are made of, asked of their processes, and the proof that each is itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.sides.side import Answer, Builder, Side, explained
from attnbench.suites.case import Case

Network = dict[str, Any]
_FOUND = ("classes", "sources", "cost")


@dataclass(frozen=True)
class Inspected:
    """A network on one side: what it is, or why it is not.

    Attributes:
        classes: class, file, kind of place, hash.
        sources: file -> hash of all that it depends on.
        cost: params, macs, activations, bytes.
        error: why it could not be built.
        unknown: this side has no such module.
    """

    classes: tuple[Mapping[str, str], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    unknown: bool = False

    @classmethod
    def of(cls, answer: Answer) -> Inspected:
        """Return what a side answered."""
        if "error" in answer:
            unknown = answer.get("kind") == "UnknownNameError"
            return cls(error=explained(answer), unknown=unknown)
        found = answer["ok"]
        return cls(tuple(found["classes"]), found["sources"], found["cost"])


@dataclass(frozen=True)
class Pair:
    """One network, on both sides."""

    network: Network
    base: Inspected
    head: Inspected

    @property
    def untouched(self) -> bool:
        """Whether nothing that it depends on differs."""
        both = self.base.error is None and self.head.error is None
        return both and (self.base.sources, self.base.cost) == (self.head.sources, self.head.cost)

    def name(self, kind: str) -> str:
        """Return the canonical name of its case of a kind."""
        return case_of(self.network, kind).name


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
        fused=network["fused"],
    )


def inspected(
    networks: Sequence[Network],
    builders: tuple[Builder, Builder],
    files: frozenset[str],
    tell: Callable[[str], object],
) -> list[Pair]:
    """Return what each network is on both sides.

    Args:
        networks: of head's suites.
        builders: of base and head.
        files: all files of the repository, of either tree.
        tell: is told what is done.

    Raises:
        AttnbenchError: a class came from outside its own tree.
    """
    pairs = []
    with ThreadPoolExecutor(len(builders)) as threads:
        for network in networks:
            tell(f"{case_of(network, 'cost').name}: building both sides")
            asked = partial(Builder.ask, do="inspect", network=network)
            answers = list(threads.map(asked, builders))
            for builder, answer in zip(builders, answers, strict=True):
                check_origins(builder.side, answer, files)
            base, head = map(Inspected.of, answers)
            pairs.append(Pair(network, base, head))
    return pairs


def check_origins(side: Side, answer: Answer, files: frozenset[str]) -> None:
    """Raise :class:`AttnbenchError` for what did not come from the side's own tree."""
    found = answer.get("ok") or {}
    for one in (*found.get("foreign", ()), *found.get("classes", ())):
        wrong = one["kind"] == "foreign"
        if wrong or (one["kind"] in ("installed", "beside") and _is_ours(one, side, files)):
            raise AttnbenchError(
                f"{side.name}'s {one['class']} came from {one['file']}, outside its tree "
                f"{side.tree}; name the folder of its package with --source, or give --install"
            )


def _is_ours(one: Mapping[str, str], side: Side, files: frozenset[str]) -> bool:
    """Whether the repository has the module that was loaded from elsewhere."""
    return any(_holds(files, tail, side) for tail in _tails(one["class"].partition(":")[0]))


def _tails(module: str) -> Iterator[str]:
    path = module.replace(".", "/")
    yield f"{path}.py"
    yield f"{path}/__init__.py"


def _holds(files: frozenset[str], tail: str, side: Side) -> bool:
    if "/" in tail.removesuffix("/__init__.py"):
        return any(one == tail or one.endswith(f"/{tail}") for one in files)
    # a single file of a common name (utils.py) may lie anywhere: only where it would be imported
    folders = [one for one in side.sources if one.is_relative_to(side.tree)]
    places = [(one.relative_to(side.tree) / tail).as_posix() for one in folders]
    return any(one in files for one in places)
