"""``attnbench ci``: base and head built apart, timed together, and compared."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from attnbench.comparing.gates import LATENCY, Gates
from attnbench.comparing.model import Comparison
from attnbench.errors import RequestError
from attnbench.plugin_folders import PROJECT
from attnbench.registry import shown_path
from attnbench.sides.built import Inspected, Network, Pair, case_of, inspected
from attnbench.sides.checkout import Repository, tree_of
from attnbench.sides.environment import prepared
from attnbench.sides.side import Builder, Side, counterpart, source_folders
from attnbench.sides.timing import Protocol, Timed, timed
from attnbench.sides.verdict import compared
from attnbench.suites.load import read_suite

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        base: a revision.
        suites: names, or paths of files of head's tree.
        plugins: plugin files, as head has them.
        sources: folders of packages, relative to the root; ``src/`` or the root by default.
        install: command that builds an environment for each side.
        kinds: ``cost``, ``latency`` or both.
        protocol: how latency is timed.
        gates: how each metric is judged.
    """

    base: str
    suites: Sequence[str]
    plugins: Sequence[str] = ()
    sources: Sequence[str] = ()
    install: str | None = None
    kinds: Sequence[str] = ("cost", "latency")
    protocol: Protocol = field(default_factory=Protocol)
    gates: Gates = field(default_factory=lambda: Gates({}))


@dataclass(frozen=True)
class Result:
    """What was found.

    Attributes:
        comparison: of all that differs.
        untouched: networks of which both sides have the same sources; they were not timed.
        sides: revision, tree, versions and classes of each.
    """

    comparison: Comparison
    untouched: tuple[str, ...]
    sides: Mapping[str, Any]

    def to_json(self, **options: bool) -> dict[str, Any]:
        """Return the document of ``--json``; the options are those of ``Comparison.to_json``."""
        document = self.comparison.to_json(**options)
        return {**document, "untouched": list(self.untouched), "sides": dict(self.sides)}


def measure(request: Request, start: Path, tell: Tell) -> Result:
    """Measure base against head.

    Args:
        request: what is asked for.
        start: a folder in the checkout; relative names are relative to it.
        tell: is told what is done.

    Raises:
        AttnbenchError: a revision, suite or plugin is wrong, or a side is not itself.
    """
    for name in filter(_is_file, request.suites):
        read_suite(start / name)  # a mistake in it is told before anything is built
    repository = Repository.find(start)
    commit = repository.commit(request.base)
    head = repository.commit("HEAD")
    notes = [f"base is {request.base} ({commit[:12]}), head the working tree on {head[:12]}"]
    if repository.is_dirty():
        notes.append("the working tree has changes that are in no commit; they are part of head")
    with (
        tree_of(repository, commit) as tree,
        tempfile.TemporaryDirectory(prefix="attnbench-") as scratch,
    ):
        folder = Path(scratch).resolve()
        sides = _sides(
            request, repository.root, tree, (commit, head), start.resolve(), folder, tell
        )
        files = repository.files() | repository.files(commit)
        return _Measuring(request, sides, files, start, folder, tell, notes).result()


def _sides(
    request: Request,
    root: Path,
    tree: Path,
    commits: tuple[str, str],
    start: Path,
    scratch: Path,
    tell: Tell,
) -> tuple[Side, Side]:
    plugins = [(start / one).resolve() for one in request.plugins]
    for asked, full in zip(request.plugins, plugins, strict=True):
        if not full.exists():
            raise RequestError(f"plugin file {asked!r} does not exist")
    found = []
    for name, own, commit in (("base", tree, commits[0]), ("head", root, commits[1])):
        mine = [counterpart(one, root, own) for one in plugins]
        at = counterpart(start, root, own)
        side = Side(
            name,
            own,
            root,
            commit,
            source_folders(root, own, request.sources),
            tuple(one for one in mine if one.exists()),
            at if at.is_dir() else own,
            scratch,
            sources_first=bool(request.sources) or request.install is None,
        )
        found.append(_installed(side, request.install, tell))
    return found[0], found[1]


def _installed(side: Side, command: str | None, tell: Tell) -> Side:
    if command is None:
        return side
    tell(f"{side.name}: {command}")
    folder = side.scratch / f"{side.name}-environment"
    python, variables = prepared(folder, side.tree, command, side.name, tell)
    return replace(side, python=python, owned=(folder,), variables=variables)


@dataclass
class _Measuring:
    """One comparison while it goes on."""

    request: Request
    sides: tuple[Side, Side]
    files: frozenset[str]
    start: Path
    scratch: Path
    tell: Tell
    notes: list[str]

    def result(self) -> Result:
        with self._builders() as builders:
            facts = self._facts(builders)
            networks, missing = self._networks(builders)
            pairs = inspected(networks, builders, self.files, self.tell)
            times = self._times(pairs, builders)
        comparison = compared(
            pairs, times, self.request.gates,
            missing=missing, notes=self.notes,  costs="cost" in self.request.kinds,
        )  # fmt: skip
        untouched = tuple(pair.name("cost") for pair in pairs if pair.untouched)
        shown = {
            side.name: _shown(side, facts[side.name], [getattr(one, side.name) for one in pairs])
            for side in self.sides
        }
        return Result(comparison, untouched, shown)

    @contextmanager
    def _builders(self) -> Iterator[tuple[Builder, Builder]]:
        """The processes of both sides; base has head's entry points, too."""
        base, head = self.sides
        of_base, of_head = base.builder(), head.builder()
        try:
            self.tell("starting the processes of base and head")
            for one in (of_base, of_head):
                one.start()  # both import torch meanwhile
            points = of_head.need(do="facts")["points"]
            if any(one not in of_base.need(do="facts")["points"] for one in points):
                of_base.stop()
                of_base = base.builder(points)
            yield of_base, of_head
        finally:
            of_base.stop()
            of_head.stop()

    def _facts(self, builders: tuple[Builder, Builder]) -> dict[str, Any]:
        found = {one.side.name: one.need(do="facts") for one in builders}
        # a folder's failures name its project file
        own_files = [one / PROJECT if one.is_dir() else one for one in self.sides[1].plugins]
        for reason in found["head"]["failures"]:
            if any(shown_path(one) in reason or str(one) in reason for one in own_files):
                raise RequestError(f"head: {reason}")
        for side, facts in found.items():
            self.notes += [f"{side}: {reason}" for reason in facts["failures"]]
        for one in self.sides[1].plugins:
            _refuse_submodule(one, self.sides[1].root)
            if not self.sides[0].counterpart(one).exists():
                self.notes.append(f"base has no plugin file {shown_path(one)}")
        versions = [found[side]["versions"] for side in ("base", "head")]
        if versions[0] != versions[1]:
            self.notes.append(f"the sides have different versions: {versions[0]}, {versions[1]}")
        return found

    def _networks(self, builders: tuple[Builder, Builder]) -> tuple[list[Network], list[str]]:
        """The networks of head's suites, and the names of cases that only base has."""
        base, head = builders
        networks: dict[str, Network] = {}
        missing: list[str] = []
        for task in map(self._suite, self.request.suites):
            planned = head.need(do="plan", **task)
            for one in _timed_where_asked(planned["networks"]):
                networks.setdefault(case_of(one, "cost").name, one)
            again = {"suite": planned["name"], "content": planned["content"]}
            answer = base.ask(do="plan", **again, selected=True)
            if "error" in answer:
                self.notes.append(f"cases that only base has are not looked for: {answer['error']}")
            else:
                missing += [case_of(one, "cost").name for one in answer["ok"]["networks"]]
        return list(networks.values()), [one for one in missing if one not in networks]

    def _suite(self, name: str) -> dict[str, Any]:
        """A suite as head is asked for it: a file's content, or a name."""
        if not _is_file(name):
            return {"suite": name}
        text = (self.start / name).read_text(encoding="utf-8-sig")
        return {"suite": name, "content": tomllib.loads(text)}

    def _times(self, pairs: Sequence[Pair], builders: tuple[Builder, Builder]) -> dict[str, Timed]:
        if "latency" not in self.request.kinds or not self.request.gates.judges(LATENCY):
            return {}
        good = [one for one in pairs if one.base.error is None and one.head.error is None]
        asked = [one for one in good if one.network["latency"] and not one.untouched]
        return {
            pair.name("latency"): timed(
                pair, builders, self.scratch, self.request.protocol, self.tell
            )
            for pair in asked
        }


def _refuse_submodule(path: Path, root: Path) -> None:
    """Base's tree has no submodules: there would be nothing to compare with."""
    places = [path, *path.parents]
    within = [one for one in places if one.is_relative_to(root) and one != root]
    for folder in within:
        if (folder / ".git").exists():
            raise RequestError(
                f"{shown_path(path)} is in a submodule, which base's tree does not have; run "
                f"attnbench ci inside {shown_path(folder)}"
            )


def _is_file(suite: str) -> bool:
    return suite.endswith(".toml") or "/" in suite


def _timed_where_asked(networks: Sequence[Network]) -> list[Network]:
    """Networks with ``latency`` set on all, where a suite says of none what is timed."""
    if any(one["latency"] for one in networks):
        return list(networks)
    return [{**one, "latency": True} for one in networks]


def _shown(side: Side, facts: Mapping[str, Any], found: Sequence[Inspected]) -> dict[str, Any]:
    """What a side is, for the report: each class once."""
    classes = {one["class"]: dict(one) for each in found for one in each.classes}
    for one in classes.values():
        path = Path(one["file"])
        inside = path.is_relative_to(side.tree)
        one["file"] = path.relative_to(side.tree).as_posix() if inside else str(path)
    return {
        "revision": side.commit,
        "tree": str(side.tree),
        "versions": facts["versions"],
        "attnbench": facts["attnbench"],
        "classes": [classes[name] for name in sorted(classes)],
    }
