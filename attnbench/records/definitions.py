"""Analysis of a source file: its definitions by name, imports and statements with side effects."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

from attnbench.records.source_files import (
    ENGINE,
    absolute_name,
    find_module,
    find_own,
    package_of,
    source_of,
)

DOCSTRING = "__doc__"
"""Name of the pseudo-definition for a file's docstring."""
_PURE_TORCH = ("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.jit.")
_PURE_DECORATORS = (*_PURE_TORCH, *(f"{top}." for top in (ENGINE, *sys.stdlib_module_names)))
"""Name prefixes of decorators without side effects."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_OWN_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TRIES = (ast.Try, ast.TryStar)
_PLACES = (ast.Attribute, ast.Subscript)
_FRESH = (ast.Constant, ast.List, ast.Dict, ast.Set, ast.Tuple, *_OWN_SCOPES)
"""Expressions whose value has no other reference when it is assigned."""
_PROPERTY_PARTS = {"setter", "getter", "deleter"}
_SELF_REGISTERING = {"__init_subclass__", "__subclasses__"}
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


class Import(NamedTuple):
    """The referent of a name that an import binds."""

    module: str
    """Absolute name of a module."""
    name: str | None
    """Name in the module; None for the module itself."""


Bindings = dict[str, list[Import]]


@dataclass
class Statement:
    """A relevant top-level statement, with the imports inside it."""

    position: int
    """Index in the result of :func:`parse_statements`."""
    bindings: Bindings = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    """Names imported within ``try``: the success of the import matters, even if they are unused."""


@dataclass
class SourceFile:
    """The definitions, imports and side effects of a file."""

    path: Path
    definitions: dict[str, list[Statement]] = field(default_factory=dict)
    """Mapping of each name to the statements that bind it or change its value, in order."""
    effects: list[Statement] = field(default_factory=list)
    """Statements with side effects, in order; they affect every file that imports this one."""
    bindings: Bindings = field(default_factory=dict)
    """Imported names; several modules if an import has a fallback."""
    stars: list[str] = field(default_factory=list)
    """Modules of ``from ... import *``."""
    imports: set[str] = field(default_factory=set)
    """Modules imported anywhere in the file at run time, and imported names that may be modules."""
    registers_subclasses: bool = False
    """Flag of classes that may be looked up in other ways than by name."""
    order: tuple[str, ...] = ()
    """Bound names in order if any is bound twice: the position of each definition then counts."""
    opaque: str | None = None
    """Text of a file that cannot be parsed; all other fields are then empty."""


@cache
def read_file(path: Path) -> SourceFile:
    """Return the analysis of a source file."""
    try:
        return _Reader(path).read()
    except _UNREADABLE:
        return SourceFile(path, opaque=path.read_text(errors="replace"))


def parse_statements(path: Path) -> list[ast.stmt]:
    """Return the top-level statements, including those under ``if TYPE_CHECKING``."""
    return list(_unwrapped(ast.parse(path.read_bytes()).body))


def dotted_chain(node: ast.AST) -> tuple[str, ...] | None:
    """Return ``("a", "b", "c")`` for the expression ``a.b.c``; None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None


def _first_chain(node: ast.AST) -> tuple[str, ...] | None:
    """Return the dotted name that a sequence of calls, attributes and items starts with."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        if chain := dotted_chain(node):
            return chain
        node = node.func if isinstance(node, ast.Call) else node.value
    return dotted_chain(node)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.file = SourceFile(path)
        self.tree = ast.parse(path.read_bytes())
        self.nodes = list(_unwrapped(self.tree.body))
        self.own = {node.name: node for node in self.nodes if isinstance(node, _DEFINITIONS)}
        # imports come first, as the effects of other statements depend on them
        self.statements = list(map(self._statement, range(len(self.nodes))))
        for statement, node in zip(self.statements, self.nodes, strict=True):
            if not isinstance(node, _DEFINITIONS):
                _merge(self.file.bindings, statement.bindings)
        self.fresh: dict[str, bool] = {}
        """Flag for each bound name: whether its value is accessible only through this name."""

    def read(self) -> SourceFile:
        """Return the analysis."""
        for node in _running(self.tree):
            self.file.imports.update(_imported_modules(node, self.file.path))
            self.file.registers_subclasses |= _registers_subclasses(node)
        for node in self.nodes:
            for name in _bound(node):
                is_fresh = _is_fresh(node) and name not in self.file.bindings
                self.fresh[name] = self.fresh.get(name, True) and is_fresh
        for statement in self.statements:
            self._sort(statement)
        bound = [name for node in self.nodes if _rebinds(node) for name in sorted(_bound(node))]
        self.file.order = tuple(bound) if len(set(bound)) < len(bound) else ()
        return self.file

    def _statement(self, position: int) -> Statement:
        statement = Statement(position)
        for within, is_tried in _imports_within(self.nodes[position]):
            bindings = _bindings(within, self.file.path)
            self.file.stars += [binding.module for binding in bindings.pop("*", [])]
            statement.tried |= set(bindings) if is_tried else set()
            _merge(statement.bindings, bindings)
        return statement

    def _sort(self, statement: Statement) -> None:
        node = self.nodes[statement.position]
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass) or _lists_exports(node):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if statement.position == 0:
                self.file.definitions[DOCSTRING] = [statement]
            return
        names = (_bound(node) | self._changed(node)) - {"_"}
        for name in sorted(names):
            self.file.definitions.setdefault(name, []).append(statement)
        if not names or any(map(self._acts, _shallow(node))):
            self.file.effects.append(statement)

    def _changed(self, node: ast.stmt) -> set[str]:
        """Return the definitions whose attributes or items a statement assigns."""
        roots = (part.value for part in _shallow(node) if _is_stored_place(part))
        return {root.id for root in roots if self._is_clear(root)}

    def _is_clear(self, node: ast.AST) -> TypeGuard[ast.Name]:
        return isinstance(node, ast.Name) and self.fresh.get(node.id, False)

    def _acts(self, part: ast.AST) -> bool:
        """Return whether a part of a statement has effects besides the names that it binds."""
        if isinstance(part, _DEFINITIONS):
            return not all(map(self._is_pure, part.decorator_list))
        if isinstance(part, ast.Expr):
            return not isinstance(part.value, ast.Constant)
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            return not self._is_clear(part.target)
        if _is_stored_place(part):
            return not self._is_clear(part.value)
        if isinstance(part, ast.Call):
            chain, known = _first_chain(part.func), self.fresh.keys() | self.file.bindings.keys()
            return chain is not None and chain[0] in known and self.may_set(chain)
        return isinstance(part, ast.Delete | ast.Assert | ast.Raise)

    def may_set(self, names: tuple[str, ...]) -> bool:
        """Return whether a call of ``names`` in this file may set something in its distribution.

        Own classes, whatever comes from other distributions and builtin functions are taken not to.
        """
        if names[0] in self.file.bindings:
            bound = self.file.bindings[names[0]]
            return any(_may_set(binding, names[1:], self.file.path) for binding in bound)
        found = self.own.get(names[0])
        if isinstance(found, _FUNCTIONS):
            return _sets_something(found)
        return len(names) > 1 and found is None

    def _is_pure(self, decorator: ast.expr) -> bool:
        """Return whether a decorator has no effect besides its result."""
        chain = dotted_chain(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if chain is None:
            return False
        if chain[-1] in _PROPERTY_PARTS:
            return True
        bound = self.file.bindings.get(chain[0])
        if bound is None:
            return chain[0] not in self.fresh and hasattr(builtins, chain[0])
        origins = [".".join(filter(None, (*binding, *chain[1:]))) for binding in bound]
        return all(f"{origin}.".startswith(_PURE_DECORATORS) for origin in origins)


def _unwrapped(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in statements:
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _unwrapped([*node.body, *node.orelse])
        elif not (
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Compare)
            and dotted_chain(node.test.left) == ("__name__",)  # what follows runs as a script only
        ):
            yield node


def _is_type_checking(test: ast.expr) -> bool:
    return (dotted_chain(test) or ("",))[-1] == "TYPE_CHECKING"


def _rebinds(node: ast.stmt) -> bool:
    """Return whether a statement replaces the value of a name, as no augmented assignment does."""
    return isinstance(node, (*_DEFINITIONS, ast.Assign, ast.For, ast.With)) or (
        isinstance(node, ast.AnnAssign) and node.value is not None
    )


def _may_set(binding: Import, names: tuple[str, ...], importer: Path) -> bool:
    """Return whether a call of ``names`` of an import may set something in its distribution."""
    own = find_own(binding.module, importer)
    names = (binding.name, *names) if binding.name else names
    while own and names and (child := find_module(own / names[0])):
        own, names = child, names[1:]
    file = source_of(own) if own else None
    if file is None or not names:
        return own is not None
    reader = _reader(file)
    return reader.may_set(names) if reader else len(names) > 1


@cache
def _reader(path: Path) -> _Reader | None:
    try:
        return _Reader(path)
    except _UNREADABLE:
        return None


def _sets_something(function: ast.AST) -> bool:
    """Return whether a function sets what is not its own: a global, an attribute, an item."""
    parts = list(ast.walk(function))
    own = {part.arg for part in parts if isinstance(part, ast.arg)}
    own |= {
        part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }
    return any(_sets_foreign(part, own) for part in parts)


def _sets_foreign(part: ast.AST, own: set[str]) -> bool:
    if isinstance(part, ast.Global):
        return True
    place: ast.AST | None = part if _is_stored_place(part) else None
    if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
        place = part.value.func
    chain = _first_chain(place) if place else None
    return chain is not None and chain[0] not in own


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes except those that only a type checker evaluates."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _shallow(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that a statement executes: class bodies, but not function bodies."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, *_OWN_SCOPES)):
            waiting += ast.iter_child_nodes(node)


def _imports_within(
    node: ast.AST, is_tried: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, is_tried
    is_tried = is_tried or isinstance(node, _TRIES)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _imports_within(child, is_tried)


def _bindings(node: ast.Import | ast.ImportFrom, path: Path) -> Bindings:
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: [
                Import(alias.name if alias.asname else alias.name.split(".")[0], None)
            ]
            for alias in node.names
        }
    module = absolute_name(node, package_of(path))
    if module == "__future__":
        return {}
    return {alias.asname or alias.name: [Import(module, alias.name)] for alias in node.names}


def _merge(into: Bindings, more: Bindings) -> None:
    for name, found in more.items():
        merged = into.setdefault(name, [])
        merged += [binding for binding in found if binding not in merged]


def _imported_modules(node: ast.AST, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = absolute_name(node, package_of(path))
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a statement binds in its scope."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    if isinstance(node, _OWN_SCOPES):
        inner = [] if isinstance(node, ast.Lambda) else ast.walk(node)
        return {part.target.id for part in inner if isinstance(part, ast.NamedExpr)}
    names = {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
        names.add(node.name)
    return names.union(*map(_bound, ast.iter_child_nodes(node)))


def _is_fresh(node: ast.stmt) -> bool:
    """Return whether the value that a statement binds has no other name."""
    if isinstance(node, _DEFINITIONS):
        return True
    if isinstance(node, ast.Assign):
        return isinstance(node.value, _FRESH) and isinstance(node.targets[0], ast.Name)
    if isinstance(node, ast.AnnAssign):
        return node.value is None or isinstance(node.value, _FRESH)
    return isinstance(node, ast.AugAssign)  # its first value was checked before


def _is_stored_place(node: ast.AST) -> TypeGuard[ast.Attribute | ast.Subscript]:
    return isinstance(node, _PLACES) and isinstance(node.ctx, ast.Store | ast.Del)


def _lists_exports(node: ast.stmt) -> bool:
    """Return whether a statement only sets ``__all__``."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return (dotted_chain(node.value.func) or ("",))[0] == "__all__"
    is_assignment = isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
    return is_assignment and _bound(node) == {"__all__"}


def _registers_subclasses(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name in _SELF_REGISTERING
    if isinstance(node, ast.ClassDef):
        bases = [base.func if isinstance(base, ast.Call) else base for base in node.bases]
        named = {(dotted_chain(base) or ("",))[-1] for base in bases}
        return bool(named & {"type", "ABCMeta", "EnumMeta", "EnumType"})
    return isinstance(node, ast.Attribute) and node.attr in _SELF_REGISTERING
