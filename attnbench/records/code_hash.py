"""The hash of what a class or function does: of all definitions that it reaches by name.

Where code is does not count: neither paths nor names of modules, nor how something is imported, nor
the order of definitions. Each definition counts by its normal form
(:mod:`attnbench.records.normal_form`), by the origin of the foreign names in it, and by the
definitions that its own names stand for. What cannot be followed by name counts in a larger unit:

- lookups by computed names (``globals()``, ``eval``, a module passed around): the whole file;
- statements that may change anything (calls, settings of foreign attributes, registering
  decorators): for all that import their file;
- classes that register themselves: all files that are imported.

The value of an assignment is taken to have no effect elsewhere. The engine does not count: what it
does to a module has a number of its own for each kind of record.
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

from attnbench.records.definitions import (
    Import,
    SourceFile,
    Statement,
    dotted_chain,
    parse_statements,
)
from attnbench.records.name_resolution import (
    WHOLE,
    Definition,
    Foreign,
    Target,
    follow,
    is_engines,
    lookup,
    read_file,
)
from attnbench.records.normal_form import NormalForm, normalize
from attnbench.records.source_files import absolute_name, find_own, package_of
from attnbench.system.provenance import ALWAYS

EFFECTS = ""
"""In place of a definition's name: the statements that may change anything."""

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


@dataclass(frozen=True)
class Code:
    """What a definition does by itself, and the definitions that its names stand for."""

    text: str
    links: tuple[tuple[str, Definition], ...] = ()


def hash_code(target: object, *, counts_formulas: bool = False) -> str | None:
    """Return the hash of what a class or function does.

    None where it has no source, or comes from a package whose version is in every hash.

    Args:
        target: the class, the function or another callable.
        counts_formulas: whether the formulas of cards count.
    """
    start = _start_of(target)
    return None if start is None else hash_definition(start, counts_formulas=counts_formulas)


def _start_of(target: object) -> Definition | None:
    """Return the definition of a target; of what is made by a call its whole file."""
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
    code = getattr(found, "__code__", None)  # its name cannot be set by hand
    name = str(code.co_qualname if code else getattr(found, "__qualname__", WHOLE))
    top = name.split(".")[0]
    is_named = not is_made and "<locals>" not in name and top in read_file(path).definitions
    return Definition(path, top if is_named else WHOLE)


@cache
def hash_definition(start: Definition, *, counts_formulas: bool = False) -> str:
    """Return the hash of what a definition does; nothing is imported."""
    graph = _reach(start, NormalForm(counts_formulas))
    texts = (code.text for code in graph.values())
    if any(name in text for text in texts for name in _READS_DOCSTRINGS):
        graph = _reach(start, NormalForm(counts_formulas, docstrings=True))
    return _digest(graph, start)


def _reach(start: Definition, form: NormalForm) -> dict[Definition, Code]:
    """Return the code of all definitions that a start reaches, and of what runs on the way."""
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
    """Return the hash of a graph, whatever its definitions are called elsewhere.

    Each definition takes in the hashes of those it links to, until that tells no more of them apart
    (colour refinement).
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
    """Return a file and what it imports of its distribution, also by way of others.

    Only what imports name: not the packages above, which often import all that there is.
    """
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imported(file)
    return frozenset(seen)


@cache
def _imported(path: Path) -> frozenset[Path]:
    modules = (find_own(name, path) for name in read_file(path).imports)
    return frozenset(module.file for module in modules if module and module.file)


@cache
def _nodes(path: Path, form: NormalForm) -> list[ast.stmt]:
    """Return the statements of a file; each form has its own, as normalizing changes them."""
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
    except RecursionError:  # too deep to be written anew
        source = definition.path.read_text(errors="replace")
        return Code(source, ((WHOLE, Definition(definition.path, WHOLE)),))
    origins = sorted(f"# {name} = {origin}" for name, origin in uses.origins)
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
    return Code("\n".join([file.opaque or "", *sorted(origins)]), tuple(sorted(links)))


class _Uses:
    """What the names in some statements of a file stand for."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.path = file.path
        self.links: set[tuple[str, Definition]] = set()
        self.origins: set[tuple[str, str]] = set()

    def add(self, statement: Statement, form: NormalForm) -> str:
        """Take in a statement and return its text in normal form."""
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
        """Take in what is imported by a constant name; all of the file if any other is computed."""
        modules = [_constant_import(call, lookups, self.path) for call in ast.walk(node)]
        known = [module for module in modules if module is not None]
        for module in known:
            self._add_targets((WHOLE,), follow(Import(module, None), (), self.path))
        if count > len(known):
            self.links.add((WHOLE, Definition(self.path, WHOLE)))

    def _resolve(self, chain: tuple[str, ...], statement: Statement) -> list[Target]:
        local = statement.bindings.get(chain[0], [])
        found = [target for binding in local for target in follow(binding, chain[1:], self.path)]
        return found + lookup(self.file, chain[0], chain[1:])

    def _engine_name(self, expression: ast.expr, statement: Statement) -> str | None:
        """Return the name of an engine's class or function; None for anything else."""
        chain = dotted_chain(expression)
        for target in self._resolve(chain, statement) if chain else ():
            if isinstance(target, Foreign) and is_engines(target):
                return target.full.split(".")[-1]
        return None


def _is_lookup(chain: tuple[str, ...], targets: Iterable[Target]) -> bool:
    """Return whether definitions can be found by computed names through a name."""
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
    return absolute_name(ast.ImportFrom(name[level:], [], level), path)


def _global_names(text: str) -> set[str]:
    """Return the names in some code that the scope of the file gives a meaning."""
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
    """Yield names with the attributes taken of them: ``("F", "relu")`` for ``F.relu(x)``."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        chain = dotted_chain(node)
        if chain is None:
            waiting += ast.iter_child_nodes(node)
        else:
            yield chain
