"""Semantic hash of a class or function, over all definitions that it reaches by name.

The location of code is excluded: paths, module names, import lines and the order of definitions.
The hash of a definition covers its normal form (:mod:`attnbench.records.normal_form`), the origins
of the foreign names in it, and the definitions that its own names refer to. Where names cannot be
resolved, it covers a larger unit:

- for lookups by computed names (``globals()``, ``eval``, a module passed as a value): its package
  and all that it imports;
- for statements with arbitrary side effects (calls of own functions, assignments to foreign
  attributes, registering decorators): these statements, in the hash of every definition whose file
  imports theirs; a package's ``__init__.py`` is imported by all files below it;
- for names that are bound twice: the whole file, in its order;
- for classes that register themselves: all imported files.

A factory that is made by a call (``functools.partial``, a closure, a callable object) counts with
the values that it holds. Not covered: calls of other distributions' functions and of own classes
whose only purpose is a side effect, and texts of a card that the code reads. The engine is
excluded: its effect on a module has a method number of its own for each kind of record.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import symtable
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from attnbench.records.definitions import (
    Import,
    SourceFile,
    Statement,
    dotted_chain,
    parse_statements,
    read_file,
)
from attnbench.records.name_resolution import (
    WHOLE,
    Definition,
    Foreign,
    Target,
    follow,
    is_engines,
    lookup,
)
from attnbench.records.normal_form import NormalForm, normalize
from attnbench.records.source_files import absolute_name, find_own, package_of, source_of
from attnbench.system.provenance import ALWAYS

EFFECTS = ""
"""Name of the pseudo-definition for the statements with side effects."""

_LOOKUPS = {"globals", "locals", "vars", "eval", "exec", "__import__"}
_LOOKUP_ORIGINS = (
    "importlib.import_module",
    "importlib.machinery",
    "importlib.reload",
    "importlib.util",
    "inspect.getmodule",
    "pkgutil",
    "runpy",
    "sys.modules",
)
_READS_DOCSTRINGS = ("__doc__", "getdoc")
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DEEPEST = 4


@dataclass(frozen=True)
class Code:
    """The text of a definition in normal form, and the definitions that its names refer to."""

    text: str
    links: tuple[tuple[str, Definition], ...] = ()


def hash_code(target: object, *, counts_formulas: bool = False) -> str | None:
    """Return the semantic hash of a class or function.

    Return None if it has no source, or is part of a package whose version is in every hash.

    Args:
        target: the class, the function or another callable.
        counts_formulas: whether the hash covers the formulas of cards.
    """
    start = _start_of(target)
    if start is None:
        return None
    found = hash_definition(start, counts_formulas=counts_formulas)
    held = _describe_held(target)
    return _hash(found, held) if held else found


def _start_of(target: object) -> Definition | None:
    """Return the definition of a target; for the result of a call that of its whole file."""
    is_made = isinstance(target, partial)
    while isinstance(target, partial):
        target = target.func
    found = inspect.unwrap(target) if callable(target) else target
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        found, is_made = type(found), True
    try:
        source = inspect.getsourcefile(found)
    except TypeError:
        return None
    path = Path(source).resolve() if source else None
    if path is None or not path.is_file() or {*package_of(path)[:1]} & {*ALWAYS}:
        return None
    code = getattr(found, "__code__", None)  # unlike __qualname__, it is read-only
    name = str(code.co_qualname if code else getattr(found, "__qualname__", WHOLE))
    top = name.split(".")[0]
    is_named = not is_made and "<locals>" not in name and top in read_file(path).definitions
    return Definition(path, top if is_named else WHOLE)


def _describe_held(target: object) -> str:
    """Return the values that a target holds as text, empty for an ordinary class or function."""
    return "\n".join(f"{name}={_describe(value, 0)}" for name, value in _held(target))


def _held(target: object) -> Iterator[tuple[str, object]]:
    """Yield names and values, in an order that does not depend on the process."""
    if isinstance(target, partial):
        yield from ((str(number), value) for number, value in enumerate(target.args))
        yield from sorted(target.keywords.items())
        yield from _held(target.func)
    elif isinstance(target, FunctionType):
        yield from _free_variables(inspect.unwrap(target))
    elif inspect.ismethod(target):
        yield from _held(target.__self__)
    elif inspect.isclass(target):
        if "<locals>" in target.__qualname__:
            functions = {name: part for name, part in vars(target).items() if callable(part)}
            for name, part in sorted(functions.items()):
                yield from ((f"{name}.{key}", value) for key, value in _free_variables(part))
    elif not isinstance(target, ModuleType):
        yield from sorted(getattr(target, "__dict__", {}).items())


def _free_variables(function: object) -> Iterator[tuple[str, object]]:
    """Yield the free variables of a function, besides the class that it is a method of."""
    if not isinstance(function, FunctionType) or not function.__closure__:
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
        if name == "__class__":
            continue
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue


def _describe(value: Any, depth: int) -> str:
    """Return plain values and containers of them as text; of all else the name or the type."""
    if isinstance(value, _PLAIN) or depth >= _DEEPEST:
        return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__
    if isinstance(value, Mapping):
        pairs = [f"{key!r}: {_describe(part, depth + 1)}" for key, part in value.items()]
        return f"{{{', '.join(sorted(pairs))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_describe(part, depth + 1) for part in value)}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_describe(part, depth + 1) for part in value))}}}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    inner = _describe_held(value) if callable(value) and depth < _DEEPEST else ""
    return f"{name}({inner})" if inner else str(name)


@cache
def hash_definition(start: Definition, *, counts_formulas: bool = False) -> str:
    """Return the semantic hash of a definition; nothing is imported."""
    graph = _reach(start, NormalForm(counts_formulas))
    texts = (code.text for code in graph.values())
    if any(name in text for text in texts for name in _READS_DOCSTRINGS):
        graph = _reach(start, NormalForm(counts_formulas, docstrings=True))
    return _digest(graph, start)


def _reach(start: Definition, form: NormalForm) -> dict[Definition, Code]:
    """Return the code of all definitions reachable from a start, and of imported side effects."""
    graph: dict[Definition, Code] = {}
    files: set[Path] = set()
    waiting = [start]
    while waiting:
        definition = waiting.pop()
        if definition in graph:
            continue
        code = graph[definition] = _code(definition, form)
        waiting += (target for _, target in code.links)
        more = _closure(definition.path) - files
        files |= more
        waiting += (Definition(path, EFFECTS) for path in more if read_file(path).effects)
        if more and any(read_file(path).registers_subclasses for path in files):
            waiting += (Definition(path, WHOLE) for path in files)
    return graph


def _digest(graph: Mapping[Definition, Code], start: Definition) -> str:
    """Return the hash of a graph, independent of the names of its definitions.

    The hash of each definition is updated with those of its links, until the number of distinct
    hashes no longer grows (color refinement).
    """
    hashes = {definition: _hash(code.text) for definition, code in graph.items()}
    count = 0
    while count < len(set(hashes.values())):
        count = len(set(hashes.values()))
        hashes = {
            definition: _hash(
                hashes[definition], *sorted({f"{name} {hashes[to]}" for name, to in code.links})
            )
            for definition, code in graph.items()
        }
    return _hash(hashes[start], *sorted(set(hashes.values())))


def _hash(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


@cache
def _closure(path: Path) -> frozenset[Path]:
    """Return a file and the files of its distribution that run when it is imported."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            packages = (folder / "__init__.py" for folder in file.parents[: len(package_of(file))])
            waiting += [*_imported(file), *packages]
    return frozenset(seen)


@cache
def _package_files(path: Path) -> frozenset[Path]:
    """Return all files of the top-level package of a file: modules of computed names are there."""
    names = package_of(path)
    return frozenset(path.parents[len(names) - 1].rglob("*.py")) if names else frozenset()


@cache
def _imported(path: Path) -> frozenset[Path]:
    modules = (find_own(name, path) for name in read_file(path).imports)
    files = (source_of(module) for module in modules if module)
    return frozenset(file for file in files if file)


@cache
def _nodes(path: Path, form: NormalForm) -> list[ast.stmt]:
    """Return the statements of a file, one copy per form, as normalization is in place."""
    return parse_statements(path)


@cache
def _code(definition: Definition, form: NormalForm) -> Code:
    file = read_file(definition.path)
    if definition.name == WHOLE:
        return _whole(file)
    is_effect = definition.name == EFFECTS
    statements = file.effects if is_effect else file.definitions[definition.name]
    uses = _Uses(file)
    try:
        texts = [uses.add(statement, form) for statement in statements]
    except RecursionError:  # nested too deeply for ast.unparse
        source = definition.path.read_text(errors="replace")
        return Code(source, ((WHOLE, Definition(definition.path, WHOLE)),))
    origins = sorted(f"# {name} = {origin}" for name, origin in uses.origins)
    if file.order:
        uses.links.add((WHOLE, Definition(file.path, WHOLE)))
    return Code("\n".join([*texts, *origins]), tuple(sorted(uses.links)))


def _whole(file: SourceFile) -> Code:
    links = {(name, Definition(file.path, name)) for name in file.definitions}
    origins = []
    bindings = [(name, binding) for name, found in file.bindings.items() for binding in found]
    bindings += [(f"{module}.*", Import(module, None)) for module in file.stars]
    for name, binding in bindings:
        for target in follow(binding, (), file.path):
            if isinstance(target, Definition):
                links.add((name, target))
            elif not is_engines(target):
                origins.append(f"# {name} = {target.origin}")
    text = [file.opaque or "", *file.order, *sorted(origins)]
    return Code("\n".join(text), tuple(sorted(links)))


class _Uses:
    """The referents of the names in some statements of a file."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.path = file.path
        self.links: set[tuple[str, Definition]] = set()
        self.origins: set[tuple[str, str]] = set()

    def add(self, statement: Statement, form: NormalForm) -> str:
        """Add the names of a statement and return its text in normal form."""
        node = normalize(
            _nodes(self.path, form)[statement.position],
            form,
            lambda expression: self._engine_name(expression, statement),
        )
        text = ast.unparse(node) if node else ""
        names = _global_names(text) | set(statement.bindings)
        chains = [chain for chain in _chains(node) if chain[0] in names] if node else []
        chains += [(name,) for name in statement.tried]
        found = {chain: self._resolve(chain, statement) for chain in set(chains)}
        for chain, targets in found.items():
            self._add_targets(chain, targets)
        lookups = {chain for chain, targets in found.items() if _is_lookup(chain, targets)}
        if node and lookups:
            self._add_lookups(node, lookups, sum(chain in lookups for chain in chains))
        return text

    def _add_targets(self, chain: tuple[str, ...], targets: Iterable[Target]) -> None:
        for target in targets:
            if isinstance(target, Definition):
                self.links.add((".".join(chain), target))
            elif not is_engines(target):
                self.origins.add((chain[0], target.origin))

    def _add_lookups(self, node: ast.stmt, lookups: set[tuple[str, ...]], count: int) -> None:
        """Add the modules imported by constant names; all imported files if a name is computed."""
        modules = [_constant_import(call, lookups, self.path) for call in ast.walk(node)]
        constant = [module for module in modules if module is not None]
        for module in constant:
            self._add_targets((WHOLE,), follow(Import(module, None), (), self.path))
        if count > len(constant):
            files = {*_closure(self.path), *_package_files(self.path)}
            self.links |= {(WHOLE, Definition(path, WHOLE)) for path in files}

    def _resolve(self, chain: tuple[str, ...], statement: Statement) -> list[Target]:
        local = statement.bindings.get(chain[0], [])
        found = [target for binding in local for target in follow(binding, chain[1:], self.path)]
        return found + lookup(self.file, chain[0], chain[1:])

    def _engine_name(self, expression: ast.expr, statement: Statement) -> str | None:
        """Return the name of a class or function of the engine; None for anything else."""
        chain = dotted_chain(expression)
        for target in self._resolve(chain, statement) if chain else ():
            if isinstance(target, Foreign) and is_engines(target):
                return target.full.split(".")[-1]
        return None


def _is_lookup(chain: tuple[str, ...], targets: Iterable[Target]) -> bool:
    """Return whether a name allows lookups of definitions by computed names."""
    origins = (target.full for target in targets if isinstance(target, Foreign))
    return chain[0] in _LOOKUPS or any(origin.startswith(_LOOKUP_ORIGINS) for origin in origins)


def _constant_import(node: ast.AST, lookups: set[tuple[str, ...]], path: Path) -> str | None:
    """Return the module that a call imports by a constant name; None for anything else."""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return None
    chain, name = dotted_chain(node.func), node.args[0].value
    if chain not in lookups or not isinstance(name, str) or chain in {("eval",), ("exec",)}:
        return None
    level = len(name) - len(name.lstrip("."))
    return absolute_name(ast.ImportFrom(name[level:], [], level), package_of(path))


def _global_names(text: str) -> set[str]:
    """Return the names in some code that are resolved in the scope of the file."""
    table = symtable.symtable(text, "<definition>", "exec")
    names = set(table.get_identifiers())
    waiting = list(table.get_children())
    while waiting:
        table = waiting.pop()
        reads_own = table.get_type() == "function"  # a class body may read a name, then bind it
        symbols = (symbol for symbol in table.get_symbols() if symbol.is_global() or not reads_own)
        names |= {symbol.get_name() for symbol in symbols}
        waiting += table.get_children()
    return names


def _chains(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Yield names with their attributes: ``("F", "relu")`` for ``F.relu(x)``."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        chain = dotted_chain(node)
        if chain is None:
            waiting += ast.iter_child_nodes(node)
        else:
            yield chain
