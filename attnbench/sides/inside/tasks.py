"""What a side is asked: facts, networks of a suite, what one is made of, an artefact, a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from . import networks
from .guard import Trees, foreign_modules
from .origins import classes_of, sources_of

GROUP = "attnbench.plugins"


class Tasks:
    """The tasks of one side.

    Args:
        trees: where its code is.
        plugins: files that it loads.
        points: entry points (name, value) of head that it must have, too.
    """

    def __init__(
        self, trees: Trees, plugins: Sequence[str], points: Sequence[Sequence[str]]
    ) -> None:
        self.trees = trees
        self.failures: list[str] = []
        self._plug(plugins, points)

    def do(self, task: Mapping[str, Any]) -> Any:
        """Return the result of a task; what it raises is the answer, too."""
        match task["do"]:
            case "facts":
                return self._facts()
            case "plan":
                return _planned(task)
            case "inspect":
                return self._inspected(task["network"])
            case "export":
                return networks.saved(task["network"], Path(task["file"]))
            case "time":
                return networks.timed(task["network"], task["seconds"])
            case unknown:
                raise ValueError(f"unknown task {unknown!r}")

    def _plug(self, plugins: Sequence[str], points: Sequence[Sequence[str]]) -> None:
        from attnbench.plugins import catalog

        known = catalog()
        found = {point.value for point in entry_points(group=GROUP)}
        for name, value in points:
            if value not in found:
                try:
                    module, _, attribute = value.partition(":")
                    known.add_table(getattr(import_module(module), attribute), f"{name} ({value})")
                except Exception as error:
                    self.failures.append(f"entry point {value}: {_line(error)}")
        self.failures += [f"plugin {one.origin}: {one.reason}" for one in known.failures]
        for path in plugins:
            try:
                known.load_file(path)
            except Exception as error:
                self.failures.append(_line(error))

    def _facts(self) -> dict[str, Any]:
        import platform

        import torch

        import attnbench

        return {
            "attnbench": str(attnbench.__file__),
            "kind": self.trees.kind(str(attnbench.__file__)),
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
            "failures": self.failures,
            "points": [[one.name, one.value] for one in entry_points(group=GROUP)],
        }

    def _inspected(self, case: Mapping[str, Any]) -> dict[str, Any]:
        model = self._built(case)
        classes = classes_of([*_factories(case), *model.modules()], self.trees)
        files = [*(one["file"] for one in classes if one["kind"] != "foreign")]
        return {
            "classes": classes,
            "foreign": foreign_modules(self.trees),
            "sources": sources_of(files, self.trees) | self._builders(),
            "cost": networks.counted(case, model),
        }

    def _built(self, case: Mapping[str, Any]) -> Any:
        from attnbench.errors import PluginError, UnknownNameError

        try:
            return networks.built(case)
        except UnknownNameError as error:
            if not self.failures:
                raise
            # it may be there, in what could not be loaded
            raise PluginError("; ".join(self.failures)) from error

    def _builders(self) -> dict[str, str]:
        """What builds networks, where attnbench itself is what is measured."""
        import attnbench

        folder = Path(str(attnbench.__file__)).resolve().parent
        if self.trees.kind(folder / "__init__.py") not in ("tree", "environment"):
            return {}
        from .origins import hashed

        files = [
            folder / "fusing.py",
            *folder.glob("placement/*.py"),
            *folder.glob("backbones/*.py"),
        ]
        return {f"attnbench/{one.relative_to(folder).as_posix()}": hashed(one) for one in files}


def _factories(case: Mapping[str, Any]) -> Iterator[Any]:
    """The class or function behind a module's name: what it builds may not show it."""
    if case["module"]:
        from attnbench.attention import find_attention

        yield find_attention(case["module"]).factory


def _planned(task: Mapping[str, Any]) -> dict[str, Any]:
    """The networks of a suite; with ``selected`` only those of rows that select modules."""
    from attnbench.measure.brackets import Brackets
    from attnbench.measure.cost import CostMeter
    from attnbench.plugins import catalog
    from attnbench.suites.cases import all_cases, plan
    from attnbench.suites.load import find_suite, parse_suite

    known = catalog()
    content = task.get("content")
    suite = parse_suite(content, task["suite"]) if content else find_suite(task["suite"], known)
    parts = list(_selecting(suite)) if task.get("selected") else [suite]
    brackets = Brackets(CostMeter(known))
    cases = [one for part in parts for one in all_cases(plan(part, known, (), brackets))]
    return {"name": suite.suite.name, "content": suite.model_dump(mode="json"),
            "networks": _networks(cases)}  # fmt: skip


def _selecting(suite: Any) -> Iterator[Any]:
    """Each row that stands for whatever modules there are, as a suite of its own."""
    for layout in suite.table:
        for row in layout.row:
            if row.selects():
                alone = layout.model_copy(update={"row": [row], "reference": None})
                yield suite.model_copy(update={"table": [alone], "nominal": {}})


def _networks(cases: Sequence[Any]) -> list[dict[str, Any]]:
    """Cost and latency cases by network; ``latency`` where the suite times it."""
    found: dict[str, dict[str, Any]] = {}
    for case in cases:
        if case.kind == "accuracy" or not (case.backbone or case.module):
            continue
        fields = {
            "backbone": case.backbone,
            "module": case.module,
            "placement": case.placement,
            "channels": case.channels,
            "size": list(case.size),
            "fused": case.fused,
        }
        known = found.setdefault(repr(fields), {**fields, "latency": False})
        known["latency"] = known["latency"] or case.kind == "latency"
    return list(found.values())


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
