"""Bridge of ``attnbench ci``: the code inside a side's process, behind a JSON protocol.

A head of one attnbench measures a base of another. It therefore imports nothing of a side's
attnbench but this module, and relies on nothing of it but the protocol below. Everything behind the
protocol may be renamed freely: this module is always of the same tree as what it imports.

Fixed in every protocol, so that each side can report its number:

- the path of this module, which the launcher names (``launcher.py``, ``BRIDGE``);
- ``serve(setup_file, answers)``, called once: tasks are read from standard input, and each is
  answered in order with one line of JSON on ``answers``. The launcher has set the working directory
  and ``sys.path``, redirected imports, sent ``{"ready": pid}``, and kept standard output for
  ``answers``: what is printed goes to standard error;
- the task ``{"do": "facts"}``, whose answer has an integer ``protocol``.

Protocol 1
    The setup file is a JSON object:

    - ``own``, ``head``: folders of the side's tree and of head's, absolute
    - ``owned``: folders of an environment that was built for this side (optional)
    - ``plugins``: plugin files and folders to load (optional)
    - ``points``: entry points ``[name, value]`` of head to load besides the side's (optional)
    - ``launcher``: package name of the launcher's modules, where it is more than ``__main__``; all
      of them are head's on both sides (optional)

    A task is an object with ``do``; an answer is ``{"ok": result}``, or ``{"error": text}`` with an
    optional ``kind``: ``unknown-name`` (this side has no module, backbone or suite of that name),
    ``unknown-task``, or ``failed``. The launcher itself answers ``no-bridge``, with ``facts``, on a
    side that has none.

    ``facts`` -> object
        ``protocol``: an integer. ``attnbench``: file of the package. ``versions``: object of texts
        that the sides are compared by. ``failures``: list of texts, one a plugin that could not be
        loaded. ``points``: list of ``[name, value]``, the side's entry points. Optional: ``kind``
        (of the place that ``attnbench`` is in, see below), ``version`` (of its distribution).
    ``plan``: ``suite`` (name or path), optional ``content`` (object, as a ``plan`` answered it, or
    parsed from the file), optional ``selected`` (true: only rows that select modules) -> object
        ``networks``: list of networks. Optional: ``name`` and ``content`` of the suite; without
        ``content`` head does not look for cases that only base has.
    ``inspect``: ``network`` -> object
        ``classes``: list of objects with ``class``, ``file``, ``kind``, ``hash``. ``sources``:
        object of file -> hash of all that the network depends on. ``cost``: object of metric ->
        integer; ``params``, ``macs``, ``activations``, ``bytes`` and ``operators`` are compared
        where both sides have them. Optional: ``foreign``, list of objects with ``class``, ``file``
        and ``kind``, the modules of the other tree that were loaded.
    ``export``: ``network``, ``file`` -> null
        Writes the file of ``torch.export.save``, for one input of the network's size.
    ``time``: ``network``, ``seconds`` -> object
        ``log``: median logarithm of the seconds of a call. Optional: ``calls``, ``clock``.

    A network is an object with ``backbone``, ``module``, ``placement``, ``channels`` (each null
    where it does not apply) and ``size`` ``[height, width]``; optional ``fused`` (false) and, from
    ``plan``, ``latency`` (false: the suite does not time it). A kind of place is ``tree``,
    ``environment`` (of the side alone), ``installed``, ``beside`` or ``foreign`` (head's tree on
    base).

Both ends ignore keys that they do not know, and take the stated default for an absent optional key.
Adding an optional key or a task therefore keeps the number; anything else (a key that is removed,
renamed, required anew or means something else) increments ``PROTOCOL``, and ``SPOKEN`` in
``checkout_process.py`` lists the numbers that head still supports.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TextIO

import torch

import attnbench.models
from attnbench.errors import AttnbenchError, PluginError, UnknownNameError
from attnbench.measure.cost import CostMeter
from attnbench.measure.iso_macs import IsoMacBaselines
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import catalog
from attnbench.regression.ci.launcher import (
    SourceTrees,
    distribution_version,
    foreign_modules,
    refuse_all,
    send,
)
from attnbench.regression.ci.networks import (
    build_network,
    count_costs,
    export_network,
    time_network,
)
from attnbench.regression.ci.source_files import classes_of, hash_file, source_hashes_of, source_key
from attnbench.suites.case import Case
from attnbench.suites.load import find_suite, parse_suite
from attnbench.suites.plan import all_cases, plan
from attnbench.suites.schema import Suite
from attnbench.utils.text import describe, first_line
from attnbench.workers.answers import Answer

PROTOCOL = 1
ENGINE = str(sys.modules["attnbench"].__file__)
"""File of the attnbench package that this module belongs to."""
GROUP = "attnbench.plugins"


def serve(setup_file: str, answers: TextIO) -> None:
    """Answer tasks until standard input ends, each with one line on ``answers``."""
    setup = json.loads(Path(setup_file).read_text(encoding="utf-8"))
    try:
        tasks = SideTasks(setup)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        refuse_all(answers, _failure(error))
        return
    for line in sys.stdin:
        send(answers, tasks.answer(json.loads(line)))


class SideTasks:
    """Tasks of one side; its plugins are loaded."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._trees = SourceTrees.of_setup(setup)
        self._launcher = str(setup.get("launcher", ""))
        self._failures = list(_load_plugins(setup.get("plugins", ()), setup.get("points", ())))
        self._tasks: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "facts": self._facts,
            "plan": _plan_suite,
            "inspect": self._inspect,
            "export": lambda task: export_network(task["network"], Path(task["file"])),
            "time": lambda task: time_network(task["network"], task["seconds"]),
        }

    def answer(self, task: Mapping[str, Any]) -> Answer:
        """Return the answer to a task; an error is returned as an answer, too."""
        perform = self._tasks.get(task["do"])
        if perform is None:
            return {"error": f"unknown task {task['do']!r}", "kind": "unknown-task"}
        try:
            return {"ok": perform(task)}
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            return _failure(error)

    def _facts(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "attnbench": ENGINE,
            "kind": self._trees.kind(ENGINE),
            "version": distribution_version("attnbench"),
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
            "failures": self._failures,
            "points": [[point.name, point.value] for point in entry_points(group=GROUP)],
        }

    def _inspect(self, task: Mapping[str, Any]) -> dict[str, Any]:
        network = task["network"]
        model = self._build(network)
        objects: list[Any] = list(model.modules())
        if network["module"]:  # models may not contain the factory of a module's name
            objects.insert(0, find_attention(network["module"]).factory)
        classes = classes_of(objects, self._trees)
        files = [entry["file"] for entry in classes if entry["kind"] != "foreign"]
        return {
            "classes": classes,
            "foreign": foreign_modules(self._trees, self._launcher),
            "sources": source_hashes_of(files, self._trees) | self._builder_hashes(),
            "cost": count_costs(network, model),
        }

    def _build(self, network: dict[str, Any]) -> torch.nn.Module:
        try:
            return build_network(network)
        except UnknownNameError as error:
            if not self._failures:
                raise
            # a plugin that could not be loaded may register it
            raise PluginError("; ".join(self._failures)) from error

    def _builder_hashes(self) -> dict[str, str]:
        """Return the hashes of the code that builds networks, where attnbench itself is measured.

        That code places and fuses modules, which is not visible in the model's classes.
        """
        if self._trees.kind(ENGINE) not in ("tree", "environment"):
            return {}
        files = sorted(Path(str(attnbench.models.__file__)).resolve().parent.glob("*.py"))
        return {source_key(file, self._trees): hash_file(file) for file in files}


def _load_plugins(paths: Iterable[str], points: Iterable[Sequence[str]]) -> Iterator[str]:
    """Load plugin files and head's entry points; yield the reason of each failure."""
    registered = catalog()
    own = {point.value for point in entry_points(group=GROUP)}
    for name, value in points:
        if value not in own:
            try:
                module, _, attribute = value.partition(":")
                registered.add_table(getattr(import_module(module), attribute), f"{name} ({value})")
            except Exception as error:
                yield f"entry point {value}: {describe(error)}"
    yield from [f"plugin {failure.origin}: {failure.reason}" for failure in registered.failures]
    for path in paths:
        try:
            registered.load_file(path)
        except Exception as error:
            yield describe(error)


def _plan_suite(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the networks of a suite; with ``selected`` only those of rows that select modules."""
    registered = catalog()
    content = task.get("content")
    suite = (
        parse_suite(content, task["suite"]) if content else find_suite(task["suite"], registered)
    )
    parts = list(_selecting_rows(suite)) if task.get("selected") else [suite]
    brackets = IsoMacBaselines(CostMeter(registered))
    cases = [case for part in parts for case in all_cases(plan(part, registered, (), brackets))]
    return {
        "name": suite.suite.name,
        "content": suite.model_dump(mode="json"),
        "networks": _networks_of(cases),
    }


def _selecting_rows(suite: Suite) -> Iterator[Suite]:
    """Yield each row that selects among all registered modules, as a suite of its own."""
    for layout in suite.table:
        for row in layout.row:
            if row.selects():
                alone = layout.model_copy(update={"row": [row], "reference": None})
                yield suite.model_copy(update={"table": [alone], "nominal": {}})


def _networks_of(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Return the networks of cost and latency cases; ``latency`` if any case times it."""
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
        network = found.setdefault(repr(fields), {**fields, "latency": False})
        network["latency"] = network["latency"] or case.kind == "latency"
    return list(found.values())


def _failure(error: BaseException) -> Answer:
    """Return the answer for an error: attnbench's own by its text, any other with its type."""
    if isinstance(error, MemoryError):
        return {"error": "out of memory", "kind": "failed"}
    kind = "unknown-name" if isinstance(error, UnknownNameError) else "failed"
    text = first_line(error) if isinstance(error, AttnbenchError) else describe(error)
    return {"error": text, "kind": kind}
