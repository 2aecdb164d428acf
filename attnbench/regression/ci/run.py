"""Run of ``attnbench ci``: base and head are built apart, timed together, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from attnbench.errors import RequestError
from attnbench.registry.plugin_files import PROJECT
from attnbench.regression.ci.checkout_process import Side, SideProcess, counterpart, source_folders
from attnbench.regression.ci.inspect_networks import (
    Network,
    NetworkPair,
    case_of,
    inspect_networks,
)
from attnbench.regression.ci.timing import TimedPair, TimingPlan, time_pair
from attnbench.regression.ci.verdict import compare_sides
from attnbench.regression.ci.worktree import GitCheckout, base_worktree, create_venv
from attnbench.regression.compare.comparison import RunComparison
from attnbench.regression.compare.gates import LATENCY, Gates
from attnbench.suites.load import read_suite
from attnbench.utils.scratch import scratch_folder
from attnbench.utils.text import shown_path
from attnbench.utils.toml import read_toml

Progress = Callable[[str], object]


@dataclass(frozen=True)
class CiRequest:
    """Options of ``attnbench ci``.

    Attributes:
        suites: names, or paths of files of head's tree.
        plugins: plugin files, as head has them.
        sources: folders of packages, relative to the root; ``src/`` or the root by default.
        install: command that builds an environment for each side.
        kinds: ``cost``, ``latency`` or both.
    """

    base: str
    suites: Sequence[str]
    plugins: Sequence[str] = ()
    sources: Sequence[str] = ()
    install: str | None = None
    kinds: Sequence[str] = ("cost", "latency")
    timing: TimingPlan = field(default_factory=TimingPlan)
    gates: Gates = field(default_factory=lambda: Gates({}))


@dataclass(frozen=True)
class CiResult:
    """Result of ``attnbench ci``.

    Attributes:
        comparison: all differences.
        untouched: networks with the same sources on both sides; they were not timed.
        sides: revision, tree, versions and classes of each.
    """

    comparison: RunComparison
    untouched: tuple[str, ...]
    sides: Mapping[str, Any]

    def to_json(self, **options: bool) -> dict[str, Any]:
        """Return the document of ``--json``; the options are those of ``RunComparison.to_json``."""
        document = self.comparison.to_json(**options)
        return {**document, "untouched": list(self.untouched), "sides": dict(self.sides)}


def run_ci(request: CiRequest, start: Path, progress: Progress) -> CiResult:
    """Measure base against head; relative names are relative to ``start``, in the checkout.

    Raises:
        AttnbenchError: a revision, suite or plugin is wrong, or a side does not run its own code.
    """
    for name in filter(_is_file, request.suites):
        read_suite(start / name)  # a mistake in it is reported before anything is built
    checkout = GitCheckout.find(start)
    commit = checkout.commit(request.base)
    head = checkout.commit("HEAD")
    notes = [f"base is {request.base} ({commit[:12]}), head the working tree on {head[:12]}"]
    if checkout.is_dirty():
        notes.append("the working tree has changes that are in no commit; they are part of head")
    with (
        base_worktree(checkout, commit) as tree,
        scratch_folder() as folder,
    ):
        trees = {"base": (tree, commit), "head": (checkout.root, head)}
        sides = _make_sides(request, trees, start.resolve(), folder, progress)
        files = checkout.files() | checkout.files(commit)
        return _CiRun(request, sides, files, start, folder, progress, notes).result()


def _make_sides(
    request: CiRequest,
    trees: Mapping[str, tuple[Path, str]],
    start: Path,
    scratch: Path,
    progress: Progress,
) -> tuple[Side, Side]:
    root, _ = trees["head"]
    plugins = [(start / name).resolve() for name in request.plugins]
    for name, plugin in zip(request.plugins, plugins, strict=True):
        if not plugin.exists():
            raise RequestError(f"--plugin file does not exist: got {name!r}")
    found = []
    for name, (tree, commit) in trees.items():
        own = [counterpart(plugin, root, tree) for plugin in plugins]
        folder = counterpart(start, root, tree)
        side = Side(
            name,
            tree,
            root,
            commit,
            source_folders(root, tree, request.sources),
            tuple(plugin for plugin in own if plugin.exists()),
            folder if folder.is_dir() else tree,
            scratch,
            sources_first=bool(request.sources) or request.install is None,
        )
        if request.install is not None:
            progress(f"{name}: {request.install}")
            place = scratch / f"{name}-environment"
            python, variables = create_venv(place, tree, request.install, name, progress)
            side = replace(side, python=python, owned=(place,), variables=variables)
        found.append(side)
    return found[0], found[1]


@dataclass
class _CiRun:
    request: CiRequest
    sides: tuple[Side, Side]
    files: frozenset[str]
    start: Path
    scratch: Path
    progress: Progress
    notes: list[str]

    def result(self) -> CiResult:
        with self._processes() as processes:
            facts = self._facts(processes)
            networks, missing = self._networks(processes)
            pairs = inspect_networks(networks, processes, self.files, self.progress)
            times = self._times(pairs, processes)
        gates, costs = self.request.gates, "cost" in self.request.kinds
        comparison = compare_sides(
            pairs, times, gates, missing=missing, notes=self.notes, costs=costs
        )
        untouched = tuple(pair.name("cost") for pair in pairs if pair.untouched)
        described = {side.name: _describe(side, facts[side.name], pairs) for side in self.sides}
        return CiResult(comparison, untouched, described)

    @contextmanager
    def _processes(self) -> Iterator[tuple[SideProcess, SideProcess]]:
        """Start the processes of both sides; base gets head's entry points, too."""
        base, head = self.sides
        of_base, of_head = base.process(), head.process()
        try:
            self.progress("starting the processes of base and head")
            for process in (of_base, of_head):
                process.start()  # both import torch meanwhile
            present, points = of_base.facts()["points"], of_head.facts()["points"]
            if any(point not in present for point in points):
                of_base.stop()
                of_base = base.process(points)
            yield of_base, of_head
        finally:
            of_base.stop()
            of_head.stop()

    def _facts(self, processes: tuple[SideProcess, SideProcess]) -> dict[str, Mapping[str, Any]]:
        found = {process.side.name: process.facts() for process in processes}
        # a folder's failures name its project file
        plugins = self.sides[1].plugins
        own_files = [plugin / PROJECT if plugin.is_dir() else plugin for plugin in plugins]
        for reason in found["head"]["failures"]:
            if any(shown_path(file) in reason or str(file) in reason for file in own_files):
                raise RequestError(f"head: {reason}")
        for side, facts in found.items():
            self.notes += [f"{side}: {reason}" for reason in facts["failures"]]
        for plugin in plugins:
            _refuse_submodule(plugin, self.sides[1].root)
            if not counterpart(plugin, self.sides[1].root, self.sides[0].tree).exists():
                self.notes.append(f"base has no plugin file {shown_path(plugin)}")
        versions = [found[side]["versions"] for side in ("base", "head")]
        if versions[0] != versions[1]:
            self.notes.append(f"the sides have different versions: {versions[0]}, {versions[1]}")
        return found

    def _networks(
        self, processes: tuple[SideProcess, SideProcess]
    ) -> tuple[list[Network], list[str]]:
        """Return the networks of head's suites, and the names of cases that only base has."""
        base, head = processes
        networks: dict[str, Network] = {}
        missing: list[str] = []
        for task in map(self._suite_task, self.request.suites):
            planned = head.result(do="plan", **task)
            for network in _time_all_if_none(planned["networks"]):
                networks.setdefault(case_of(network, "cost").name, network)
            missing += self._selected_names(base, planned)
        return list(networks.values()), [name for name in missing if name not in networks]

    def _selected_names(self, base: SideProcess, planned: Mapping[str, Any]) -> list[str]:
        """Return the cases that the rows of head's suite select on base."""
        answer: Mapping[str, Any] = {"error": "head's plan has no content"}
        if "content" in planned:
            task = {"suite": planned.get("name", ""), "content": planned["content"]}
            answer = base.answer(do="plan", **task, selected=True)
        if "error" in answer:
            self.notes.append(f"cases that only base has are not looked for: {answer['error']}")
            return []
        return [case_of(network, "cost").name for network in answer["ok"]["networks"]]

    def _suite_task(self, name: str) -> dict[str, Any]:
        """Return the fields of the task ``plan`` for a suite: a file's content, or a name."""
        if not _is_file(name):
            return {"suite": name}
        return {"suite": name, "content": read_toml(self.start / name)}

    def _times(
        self, pairs: Sequence[NetworkPair], processes: tuple[SideProcess, SideProcess]
    ) -> dict[str, TimedPair]:
        if "latency" not in self.request.kinds or not self.request.gates.judges(LATENCY):
            return {}
        plan = self.request.timing
        return {
            pair.name("latency"): time_pair(pair, processes, self.scratch, plan, self.progress)
            for pair in pairs
            if pair.is_built and pair.network["latency"] and not pair.untouched
        }


def _refuse_submodule(path: Path, root: Path) -> None:
    """Raise :class:`RequestError` for a plugin in a submodule, which base's tree does not have."""
    places = [path, *path.parents]
    within = [place for place in places if place.is_relative_to(root) and place != root]
    for folder in within:
        if (folder / ".git").exists():
            raise RequestError(
                f"--plugin is in a submodule, which base's tree lacks: got {shown_path(path)}. Run "
                f"attnbench ci inside {shown_path(folder)}"
            )


def _is_file(suite: str) -> bool:
    return suite.endswith(".toml") or "/" in suite


def _time_all_if_none(networks: Sequence[Network]) -> list[Network]:
    """Return the networks with ``latency``; set on all if the suite times none of them."""
    if any(network.get("latency") for network in networks):
        return [{"latency": False, **network} for network in networks]
    return [{**network, "latency": True} for network in networks]


def _describe(side: Side, facts: Mapping[str, Any], pairs: Sequence[NetworkPair]) -> dict[str, Any]:
    """Return the description of a side for the report, each class once."""
    networks = [getattr(pair, side.name) for pair in pairs]
    classes = {entry["class"]: dict(entry) for network in networks for entry in network.classes}
    for entry in classes.values():
        path = Path(entry["file"])
        inside = path.is_relative_to(side.tree)
        entry["file"] = path.relative_to(side.tree).as_posix() if inside else str(path)
    return {
        "revision": side.commit,
        "tree": str(side.tree),
        "versions": facts["versions"],
        "attnbench": facts["attnbench"],
        "classes": [classes[name] for name in sorted(classes)],
    }
