"""Launch script of one side's process: ``python -P launcher.py SETUP.json``. Standard library only.

Head's copy of this file runs on both sides. It prepares the process (private standard output,
working directory, import redirection), imports the bridge of the attnbench that this side has, and
hands over to it. Nothing of attnbench is imported before, and nothing but the bridge by name.

An editable install of head is visible in both sides' environment: as a line of a ``.pth`` file, as
a finder that maps package names to folders, or as a variable. On base, imports that lead into
head's tree are redirected to the same place in base's tree; where that has no such file, the name
is not found.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import runpy
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

BRIDGE = "attnbench.regression.ci.bridge"
"""Module path of the bridge in every attnbench: part of the protocol, fixed forever."""
_CHANNEL = Path(__file__).resolve().parents[2] / "workers" / "task_channel.py"
"""Head's copy on both sides, run by its path: no module of attnbench is loaded."""


def main(setup_file: str) -> None:
    """Prepare the process and serve tasks until standard input ends.

    Args:
        setup_file: JSON, described in the bridge; of the launcher alone are ``folder`` (working
            directory), ``first`` and ``after`` (for ``sys.path``).
    """
    sys.stdin = answers = runpy.run_path(str(_CHANNEL))["TaskChannel"]()
    warnings.simplefilter("ignore")  # of the measured code; failures are reported as errors
    setup = json.loads(Path(setup_file).read_text(encoding="utf-8"))
    os.chdir(setup["folder"])
    trees = SourceTrees.of_setup(setup)
    redirect_imports(trees, setup["first"], setup["after"])
    send(answers, {"ready": os.getpid()})
    try:
        serve = importlib.import_module(BRIDGE).serve
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        refuse_all(answers, _import_failure(error, trees))
        return
    serve(setup_file, answers)


def _import_failure(error: BaseException, trees: SourceTrees) -> dict[str, Any]:
    """Return the answer to every task if the bridge cannot be imported."""
    facts = _attnbench_facts(trees)
    is_hidden = Path(facts["attnbench"] or "__init__.py").stem != "__init__"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return {
        "error": text,
        "kind": "no-bridge" if is_hidden or _is_absent(error) else "failed",
        "facts": facts,
    }


def _is_absent(error: BaseException) -> bool:
    """Return whether the module of the bridge does not exist, or has no ``serve``."""
    if isinstance(error, ModuleNotFoundError):
        return error.name is not None and f"{BRIDGE}.".startswith(f"{error.name}.")
    return isinstance(error, AttributeError) and getattr(error, "name", None) == "serve"


def _attnbench_facts(trees: SourceTrees) -> dict[str, str]:
    """Return file, kind of place and version of this side's attnbench, as keys of ``facts``."""
    top = BRIDGE.partition(".")[0]
    facts = {"attnbench": "", "version": distribution_version(top)}
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(top)
        if spec is not None and spec.origin and spec.has_location:
            facts |= {"attnbench": spec.origin, "kind": trees.kind(spec.origin)}
    return facts


def distribution_version(name: str) -> str:
    """Return the version of a distribution; empty if it is not installed."""
    with contextlib.suppress(PackageNotFoundError):
        return version(name)
    return ""


def refuse_all(answers: TextIO, answer: Mapping[str, Any]) -> None:
    """Give the same answer to every task until standard input ends."""
    for _ in sys.stdin:
        send(answers, answer)


def send(answers: TextIO, answer: Mapping[str, Any]) -> None:
    """Write an answer as a line."""
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class SourceTrees:
    """Folders that a side's code comes from, and those that it must not come from.

    Attributes:
        own: the side's tree.
        head: the checkout that an editable install leads to; on head the same as ``own``.
        owned: folders of an environment that was built for this side alone.
    """

    own: Path
    head: Path
    owned: tuple[Path, ...] = ()

    @classmethod
    def of_setup(cls, setup: Mapping[str, Any]) -> SourceTrees:
        """Return the trees that a side's setup file names."""
        owned = tuple(map(Path, setup.get("owned", ())))
        return cls(Path(setup["own"]), Path(setup["head"]), owned)

    def kind(self, file: str | Path) -> str:
        """Return ``tree``, ``environment`` (its own), ``foreign``, ``installed`` or ``beside``.

        ``foreign`` is a file of head's tree in base's process; ``beside`` one that is neither in a
        tree nor installed.
        """
        return _kind(self, str(file))

    def redirect(self, place: str) -> str:
        """Return a path with head's tree replaced by the side's own."""
        if not place or self.kind(place) != "foreign":
            return place
        return str(self.own / Path(place).resolve().relative_to(self.head))

    def own_spec(self, spec: ModuleSpec) -> ModuleSpec | None:
        """Return a finder's result redirected to the side's own tree; None if the tree lacks it."""
        origin = spec.origin if spec.has_location else None
        folders = list(spec.submodule_search_locations or ())
        places = [*folders, *([origin] if origin else [])]
        if not any(self.kind(place) == "foreign" for place in places):
            return spec
        redirected = [folder for folder in map(self.redirect, folders) if Path(folder).is_dir()]
        if origin is None:  # a namespace package: folders alone
            found = ModuleSpec(spec.name, None, is_package=True)
            found.submodule_search_locations = redirected
            return found if redirected else None
        file = self.redirect(origin)
        if not Path(file).is_file():
            return None
        within = redirected if spec.submodule_search_locations is not None else None
        return importlib.util.spec_from_file_location(
            spec.name, file, submodule_search_locations=within
        )


class RedirectedFinder:
    """A finder of ``sys.meta_path`` whose specs are redirected to the side's own tree."""

    def __init__(self, finder: Any, trees: SourceTrees) -> None:
        self._finder = finder
        self._trees = trees

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module in the side's own tree, or of one that is in neither."""
        found: ModuleSpec | None = self._finder.find_spec(name, path, target)
        return None if found is None else self._trees.own_spec(found)


def redirect_imports(trees: SourceTrees, first: Iterable[str], after: Iterable[str] = ()) -> None:
    """Put the side's own folders on ``sys.path``, and redirect every finder.

    The folders of ``first`` come before all others, those of ``after`` behind the side's own
    environment and before the folders that both sides share.
    """
    for name in [name for name, _ in _foreign(trees, __name__)]:
        del sys.modules[name]  # a .pth file may have imported it as Python started
    found = [trees.redirect(folder) for folder in sys.path]
    own = [folder for folder in found if trees.kind(folder) == "environment"] if trees.owned else []
    shared = [folder for folder in found if folder not in own]
    sys.path[:] = list(dict.fromkeys([*first, *own, *after, *shared]))
    finders: list[Any] = sys.meta_path
    finders[:] = [
        RedirectedFinder(finder, trees) if hasattr(finder, "find_spec") else finder
        for finder in finders
    ]
    importlib.invalidate_caches()


def foreign_modules(trees: SourceTrees, launcher: str) -> list[dict[str, str]]:
    """Return the loaded modules that came from head's tree despite the redirection.

    ``launcher``, the launcher's module or package, is head's on both sides by design and left out;
    so is the script of the process.
    """
    return [
        {"class": name, "file": file, "kind": "foreign"}
        for name, file in sorted(_foreign(trees, launcher))
    ]


def _foreign(trees: SourceTrees, launcher: str) -> list[tuple[str, str]]:
    """Return name and file of the loaded modules from head's tree, the launcher's left out."""
    script = sys.modules["__main__"]  # the launcher's; multiprocessing adds a second name for it
    loaded = {name: module for name, module in sys.modules.items() if module is not script}
    files = {name: getattr(module, "__file__", None) for name, module in loaded.items()}
    return [
        (name, file)
        for name, file in files.items()
        if isinstance(file, str)
        and name.partition(".")[0] != launcher
        and trees.kind(file) == "foreign"
    ]


@cache
def _kind(trees: SourceTrees, file: str) -> str:
    path = Path(file).resolve()
    if any(path.is_relative_to(folder) for folder in trees.owned):
        return "environment"
    for tree, kind in ((trees.own, "tree"), (trees.head, "foreign")):
        if path.is_relative_to(tree):
            return "installed" if _in_environment(path, tree) else kind
    return "installed" if _in_environment(path, None) else "beside"


def _in_environment(path: Path, tree: Path | None) -> bool:
    """Return whether a path belongs to Python or to an environment, even one within a tree."""
    parts = path.relative_to(tree).parts if tree else path.parts
    prefixes = {Path(prefix).resolve() / "lib" for prefix in (sys.prefix, sys.base_prefix)}
    within = [prefix for prefix in prefixes if tree is None or prefix.is_relative_to(tree)]
    return any(part in _INSTALLED for part in parts) or any(map(path.is_relative_to, within))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (KeyboardInterrupt, BrokenPipeError):  # ended by the parent
        sys.exit(130)
