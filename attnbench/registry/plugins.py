"""Registration of modules and suites: entry points, a decorator, plugin files and folders.

A plugin is a *lazy table*, a mapping from name to ``"package.module:Class"`` or, with details
for listings, to ``{"target": ..., "title": ..., "family": ..., "year": ..., "paper": ...}``. A
target that ends in ``.toml`` is a suite; a name that ends in a colon denotes a family of modules
(:mod:`attnbench.registry.module_families`); any other is a module. Tables are torch-free, so that
listing names is cheap.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module, resources
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from attnbench.errors import AttnbenchError, PluginError, suggestion
from attnbench.registry.module_families import (
    FAMILY_NAME,
    ModuleFamily,
    select_modules,
    validate_family,
)
from attnbench.registry.plugin_files import (
    GROUP,
    file_reason,
    read_folder,
    run_file,
    undone_on_failure,
)
from attnbench.registry.registry import Entry, Registry
from attnbench.registry.signatures import ModuleFactory, signature_of
from attnbench.registry.validation import NAME, declared_card, validate_module
from attnbench.utils.forked_trial import IMPORT, run_after_trial
from attnbench.utils.process_settings import preserve_from_plugin
from attnbench.utils.text import describe, origin_of, shown_path

SUITE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_DETAILS = {"target": str, "title": str, "family": str, "year": int, "paper": str}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class PluginFailure:
    """A plugin, or one of its names, that failed to load; all other plugins remain usable."""

    origin: str
    reason: str


@dataclass
class Catalog:
    """All registered modules, families of modules and suites, and the plugins that failed."""

    modules: Registry[ModuleFactory] = field(
        default_factory=lambda: Registry("module", validate_module)
    )
    module_families: Registry[ModuleFamily] = field(
        default_factory=lambda: Registry("module family", validate_family)
    )
    """Module families by prefix, such as ``timm:``."""
    suites: Registry[Path] = field(default_factory=lambda: Registry("suite", load=suite_file))
    failures: list[PluginFailure] = field(default_factory=list)
    files: dict[Path, Any] = field(default_factory=dict)
    """Plugin files and folders loaded so far, with the resulting objects."""
    attentions: dict[tuple[str, int], Any] = field(default_factory=dict, repr=False)
    """Cache of :func:`~attnbench.registry.attention.find_attention`, by spec and revision."""

    @property
    def revision(self) -> int:
        """Return the number of changes of modules so far, by plugins or otherwise."""
        return self.modules.revision + self.module_families.revision

    def load_entry_points(self) -> None:
        """Load the tables of all installed distributions."""
        # sorted: the order of two plugins must not depend on the file system
        for point in sorted(entry_points(group=GROUP), key=_rank):
            origin = f"{point.dist.name if point.dist else '?'} ({point.value})"
            try:
                with preserve_from_plugin(origin, origin):
                    table = point.load()
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                self.failures.append(PluginFailure(origin, describe(error)))
            else:
                self.add_table(table, origin)

    def add_table(self, table: Any, origin: str) -> None:
        """Register a lazy table; names that cannot be registered are recorded as failures."""
        problems = self._add_names(table, origin, disputable=True)
        self.failures += [PluginFailure(origin, problem) for problem in problems]

    def _add_names(self, table: Any, origin: str, *, disputable: bool) -> Iterator[str]:
        """Register a table; yield the problem of each name that cannot be registered."""
        if not isinstance(table, Mapping):
            yield f"the entry point is a {type(table).__name__}, not a table of names"
            return
        for name, value in table.items():
            try:
                self._add(name, value, origin, disputable=disputable)
            except AttnbenchError as error:
                yield str(error)

    def _add(self, name: Any, value: Any, origin: str, *, disputable: bool) -> None:
        details: Any = {"target": value} if isinstance(value, str) else value
        problem = _entry_problem(name, details)
        if problem:
            raise PluginError(f"entry {name!r} of the table: {problem}")
        registry: Registry[Any] = self.modules
        if details["target"].endswith(".toml"):
            registry = self.suites
        elif name.endswith(":"):
            registry = self.module_families
        registry.add(Entry(name=name, origin=origin, **details), disputable=disputable)

    def loadable_modules(self) -> dict[str, ModuleFactory]:
        """Return the modules that load and are built from their width; the others are failures."""
        found: dict[str, ModuleFactory] = {}
        for name in self.modules.names():
            try:
                found[name] = _complete(name, self.modules.get(name))
            except PluginError as error:
                failure = PluginFailure(self.modules.entry(name).origin, str(error))
                if failure not in self.failures:
                    self.failures.append(failure)
        return found

    def shipped_suites(self) -> list[str]:
        """Return the names of the suites of attnbench's own distribution, sorted."""
        origins = {name: entry.origin for name, entry in self.suites.entries().items()}
        return [name for name in self.suites.names() if _distribution(origins[name]) == "attnbench"]

    def load_file(self, path: str | Path) -> Any:
        """Load a plugin that is not installed.

        Args:
            path: a file, which is executed, so that its ``@attnbench.register`` calls apply; or
                the folder of a package, whose ``pyproject.toml`` names tables as for an installed
                package. The folder takes precedence over an installed copy of that package.

        Raises:
            PluginError: there is no such file or folder, or it fails; the error names the line
                and the reason.
        """
        given = Path(path).expanduser().absolute()
        full = given.resolve()
        if full.suffix != given.suffix == ".py":  # a link to a file of another kind of name
            full = given
        if full in self.files:
            return self.files[full]
        if not full.exists():
            raise PluginError(f"plugin file {str(path)!r} does not exist")
        kind = "folder" if full.is_dir() else "file"
        outer = _LOADING.set(self)
        try:
            load = partial(self._load, full)
            return run_after_trial(load, f"plugin {kind} {shown_path(full)}", IMPORT)
        finally:
            _LOADING.reset(outer)

    def _load(self, full: Path) -> Any:
        registries: tuple[Registry[Any], ...] = (self.modules, self.module_families, self.suites)
        before = [(registry, registry.entries()) for registry in registries]
        failures = list(self.failures)
        try:
            with preserve_from_plugin(str(full), full.name):
                self.files[full] = self._take_folder(full) if full.is_dir() else run_file(full)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            for registry, entries in before:
                registry.restore(entries)  # pyright: ignore[reportArgumentType]
            self.failures[:] = failures
            raise PluginError(file_reason(full, error)) from error
        return self.files[full]

    def _take_folder(self, folder: Path) -> Any:
        found = read_folder(folder)
        with undone_on_failure(found.packages):
            tables = list(found.tables())
            self._forget(found.distribution)
            for origin, table in tables:
                for problem in self._add_names(table, origin, disputable=False):
                    raise PluginError(f"plugin {origin}: {problem}")
        return found

    def _forget(self, distribution: str) -> None:
        """Remove the entries of the installed copy of a distribution loaded from a folder."""

        def is_of(origin: str) -> bool:
            names = (_distribution(origin), distribution)
            return len({re.sub(r"[-_.]+", "-", name).lower() for name in names}) == 1

        for registry in (self.modules, self.module_families, self.suites):
            registry.remove(
                [name for name, entry in registry.entries().items() if is_of(entry.origin)]
            )
        self.failures[:] = [failure for failure in self.failures if not is_of(failure.origin)]


_LOADING: ContextVar[Catalog | None] = ContextVar("loading", default=None)
"""The catalog whose plugin file is being executed; it receives the file's registrations."""


@cache
def catalog() -> Catalog:
    """Return the catalog of this process, with all installed plugins."""
    found = Catalog()
    found.load_entry_points()
    return found


def list_modules(selector: str = "@all", /) -> list[str]:
    """Return the names of registered attention modules, sorted.

    Args:
        selector: ``"@all"``, or ``"@family:channel"`` for the modules of one family.

    Raises:
        RequestError: no module is of that family; the message lists the families.
    """
    modules = catalog().modules
    return select_modules(modules, selector, modules.names())


def register(
    name: str,
    *,
    title: str | None = None,
    family: str | None = None,
    year: int | None = None,
    paper: str | None = None,
) -> Callable[[F], F]:
    """Register an attention module: a class, or a factory ``channels -> nn.Module``.

    Args:
        name: lower case letters, digits and underscores.
        title: one line for listings; by default the title of the class's card.
        family: one of :data:`attnbench.cards.FAMILIES`.
        year: year of publication.
        paper: short citation.

    Raises:
        PluginError: the target violates the module contract.
        DuplicateNameError: the name is taken; the error names both origins.
    """

    def decorator(target: F) -> F:
        card = declared_card(target)
        published = getattr(card, "paper", None)
        entry: Entry[ModuleFactory] = Entry(
            name=name,
            target=target,
            origin=origin_of(target),
            title=title or getattr(card, "title", None),
            family=family or getattr(card, "family", None),
            year=year or getattr(published, "year", None),
            paper=paper or getattr(published, "short", None),
        )
        (_LOADING.get() or catalog()).modules.add(entry)
        return target

    return decorator


def find_target(catalog: Catalog, text: str) -> Any:
    """Return the object that ``my.py:MyAttention`` or ``package.module:MyAttention`` names.

    Raises:
        PluginError: the file, the module or the attribute does not exist, or loading fails.
    """
    place, _, attribute = text.rpartition(":")
    try:
        if place.endswith(".py"):
            module = catalog.load_file(place)
        else:
            load = partial(import_module, place)
            with preserve_from_plugin(place, place):
                module = load() if place in sys.modules else run_after_trial(load, place, IMPORT)
    except (AttnbenchError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise PluginError(f"{text!r} cannot be imported: {describe(error)}") from error
    try:
        return attrgetter(attribute)(module)
    except AttributeError as error:
        own = [
            name
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        known = f"; it defines {', '.join(own)}.{suggestion(attribute, own)}" if own else ""
        raise PluginError(f"{place} defines no {attribute!r}{known}") from error


def _complete(name: str, factory: ModuleFactory) -> ModuleFactory:
    """Return a factory; raise :class:`PluginError` if it needs values besides the width."""
    signature = signature_of(factory)
    lacking = [*signature.required_options(), *([signature.doubtful] if signature.doubtful else [])]
    if lacking:
        raise PluginError(
            f"module {name!r} is in no selection: it needs a value for {' and '.join(lacking)}. "
            f"Name it with one: {name},{lacking[0]}=VALUE"
        )
    return factory


def suite_file(target: str) -> Path:
    """Return the file behind ``"package:name.toml"``."""
    package, _, name = target.partition(":")
    path = Path(str(resources.files(package).joinpath(name)))
    if not path.is_file():
        raise PluginError(f"{target!r} names no file: {package} holds no {name}")
    return path


def _distribution(origin: str) -> str:
    """Return the distribution in the origin of an entry of its table."""
    return origin.partition(" (")[0]


def _rank(point: EntryPoint) -> tuple[bool, str, str]:
    distribution = point.dist.name if point.dist else ""
    return distribution != "attnbench", distribution, point.name


def _entry_problem(name: Any, details: Any) -> str | None:
    if not isinstance(name, str):
        return "its name is not a string"
    if not isinstance(details, Mapping) or not isinstance(details.get("target"), str):
        return "it must be 'package.module:Class' or a mapping with such a target"
    target = details["target"]
    if ":" not in target:
        return f"its target {target!r} lacks the colon of 'package.module:Class'"
    form = SUITE_NAME if target.endswith(".toml") else FAMILY_NAME if name.endswith(":") else NAME
    if not form.fullmatch(name):
        return "the name must be lower case letters, digits and underscores, a letter first"
    for key, value in details.items():
        if key not in _DETAILS:
            return f"unknown key {key!r}; known: {', '.join(_DETAILS)}"
        if value is not None and not isinstance(value, _DETAILS[key]):
            return f"{key} must be a {_DETAILS[key].__name__}, not {value!r}"
    return None
