"""The source files that a result depends on: a file and what it imports of its own distribution.

Read from the syntax, so that nothing is imported to find out.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

from attnbench.records.sentences import without_sentences

# one distribution, three packages: an editable install does not tell importlib.metadata
OURS = ("attnbench", "attnbench_modules", "attnbench_suites")


def source_hashes(target: object, *, sentences: bool = True) -> dict[str, str]:
    """Return the hash of each source file that a class, function or module depends on.

    Keys are relative to the folder of the package (or of the plugin file): the same source on
    another machine has the same keys and hashes.

    Args:
        target: the class, function or module.
        sentences: whether comments, docstrings and the card's texts count; without them neither
            does the engine that a module of its distribution imports (for its card, mostly).
    """
    try:
        path = inspect.getsourcefile(target)  # type: ignore[arg-type]
    except TypeError:
        return {}
    if path is None or not Path(path).is_file():
        return {}
    start = Path(path).resolve()
    root = _root(start)
    files = {_key(file, root): file for file in sorted(_closure(start))}
    if sentences:
        return {key: _hash(file) for key, file in files.items()}
    own = {key: file for key, file in files.items() if not key.startswith("attnbench/")}
    return {key: _code_hash(file) for key, file in own.items()}


def _key(file: Path, root: Path) -> str:
    for folder in (root, *_our_roots()):
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    return file.name


def _closure(start: Path) -> set[Path]:
    seen = {start}
    waiting = [start]
    while waiting:
        for file in _imported(waiting.pop()):
            if file not in seen:
                seen.add(file)
                waiting.append(file)
    return seen


@cache
def _imported(file: Path) -> frozenset[Path]:
    found = (_file(module, file) for module in _imports(file))
    return frozenset(path for path in found if path is not None)


def _imports(file: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file."""
    package = _package(file)
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file(module: str, importer: Path) -> Path | None:
    """The file of a module of the importer's distribution; None for any other module."""
    top, *rest = module.split(".")
    folder = _top_folder(top, importer)
    if folder is None:
        return None
    base = folder.joinpath(*rest)
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate.resolve()
    return None


def _top_folder(top: str, importer: Path) -> Path | None:
    root = _root(importer)
    beside = root / top
    package = _package(importer)
    own = package[0] if package else importer.stem
    if not package or top == own or _is_loose(own, root):
        return beside  # of a plugin that is not installed: whatever lies next to it
    return _package_folder(top) if top in _siblings(own) else None


@cache
def _is_loose(top: str, root: Path) -> bool:
    """Whether a package is of no installed distribution: one that is read from its folder."""
    installed = {"site-packages", "dist-packages"} & set(root.parts)
    return top not in OURS and not installed and top not in packages_distributions()


@cache
def _siblings(top: str) -> frozenset[str]:
    """Top-level packages of the same distribution."""
    if top in OURS:
        return frozenset(OURS)
    owners = packages_distributions()
    mine = set(owners.get(top, []))
    return frozenset(name for name, theirs in owners.items() if mine & set(theirs))


@cache
def _package_folder(top: str) -> Path | None:
    spec = find_spec(top)
    locations = list(spec.submodule_search_locations or []) if spec else []
    return Path(locations[0]).resolve() if locations else None


@cache
def _our_roots() -> tuple[Path, ...]:
    folders = [_package_folder(name) for name in OURS]
    return tuple(folder.parent for folder in folders if folder is not None)


@cache
def _root(file: Path) -> Path:
    """The folder that holds the top-level package of a file, or the file itself."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _package(file: Path) -> list[str]:
    return list(file.relative_to(_root(file)).parts[:-1])


@cache
def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@cache
def _code_hash(file: Path) -> str:
    return hashlib.sha256(without_sentences(file.read_bytes())).hexdigest()[:16]
