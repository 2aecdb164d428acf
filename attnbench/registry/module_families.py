"""Groups of modules: families such as ``timm:``, and the selectors ``@all`` and ``@family:NAME``.

A family is a collection with a shared prefix whose members are too many to register. It is
registered like a module, by a table entry whose name ends in a colon. Imports no torch itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from attnbench.errors import (
    AttnbenchError,
    PluginError,
    RequestError,
    UnknownNameError,
    suggestion,
    unknown,
)
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.registry import Entry, Registry
from attnbench.registry.signatures import ModuleFactory
from attnbench.registry.validation import card_of, validate_module
from attnbench.utils.text import describe, origin_of

ALL = "@all"
FAMILY = "@family:"
FAMILY_NAME = re.compile(r"[a-z][a-z0-9_]*:")
"""A prefix with its colon, as in tables."""


class ModuleFamily(Protocol):
    """A third-party collection of attention layers, built on demand."""

    packages: Sequence[str]
    """Distributions whose versions determine the built module; records contain them."""

    def names(self) -> Sequence[str]:
        """Return all names, without the prefix; imports no torch."""
        ...

    def get(self, name: str) -> ModuleFactory:
        """Return the factory of one of the names; its ``card``, if any, applies.

        Raises:
            MissingExtraError: the package of the module is not installed.
        """
        ...


def validate_family(entry: Entry[ModuleFamily], target: Any) -> None:
    """Raise :class:`PluginError`, naming the plugin, unless ``target`` is a family."""
    missing = [name for name in ("names", "get") if not callable(getattr(target, name, None))]
    if isinstance(getattr(target, "packages", None), str) or not hasattr(target, "packages"):
        missing.append("packages")
    if missing:
        raise PluginError(
            f"module family {entry.name!r} of {entry.origin} breaks the contract: a family has "
            f"names(), get(name) and packages, a tuple; this one lacks {', '.join(missing)}"
        )


def prefix_of(name: str) -> str:
    """Return ``"timm:"`` of ``"timm:eca"``; without a colon, the empty string."""
    return name[: name.find(":") + 1]


def find_member(
    families: Registry[ModuleFamily], name: str
) -> tuple[ModuleFactory, str, tuple[str, ...]] | None:
    """Return the factory, origin and packages of ``timm:eca``; None if no family has the prefix.

    Raises:
        UnknownNameError: the family has no such module; the error suggests similar names.
        MissingExtraError: the package of the module is not installed.
        PluginError: the family or its return value violates the contract.
    """
    prefix = prefix_of(name)
    if prefix not in families:
        return None
    entry = families.entry(prefix)
    family = families.get(prefix)
    within = name.removeprefix(prefix)
    known = member_names(families, prefix)
    if within not in known:
        raise _unknown(prefix, within, known)
    factory = _call(entry, f"get({within!r})", family.get, within)
    origin = str(getattr(factory, "origin", "") or origin_of(factory))
    validate_module(Entry(name=name, target=factory, origin=origin), factory)
    return factory, origin, tuple(family.packages)


def member_names(families: Registry[ModuleFamily], prefix: str) -> list[str]:
    """Return the names of a family, in its own order, without the prefix."""
    entry = families.entry(prefix)
    return list(_call(entry, "names()", families.get(prefix).names))


def family_packages(families: Registry[ModuleFamily], name: str) -> list[str]:
    """Return the packages of the family of ``timm:eca``; empty for a module without a family."""
    prefix = prefix_of(name)
    return list(families.get(prefix).packages) if prefix in families else []


def _unknown(prefix: str, within: str, known: Sequence[str]) -> UnknownNameError:
    name = f"{prefix}{within}"
    is_other = bool(within) and is_backbone(name)
    if is_other and not suggestion(within, known):
        return unknown("module", name, known, elsewhere=f"backbone: write -b {name}")
    way_out = f"As a backbone: -b {name}." if is_other else ""
    return unknown(f"{prefix} module", within, known, way_out=way_out)


def _call(entry: Entry[ModuleFamily], call: str, function: Any, *arguments: str) -> Any:
    try:
        return function(*arguments)
    except AttnbenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"module family {entry.name!r} of {entry.origin}: {call} fails: {describe(error)}"
        ) from error


def select_modules(
    modules: Registry[ModuleFactory], selector: str, names: Iterable[str]
) -> list[str]:
    """Return the names that ``@all`` or ``@family:channel`` selects, in their order.

    The family comes from the table entry; a module is imported for its card only without one.

    Raises:
        RequestError: the text is no selector, or the family has no module.
    """
    if selector == ALL:
        return list(names)
    if not (isinstance(selector, str) and selector.startswith(FAMILY)):
        raise RequestError(f"module {selector!r} is no selector. Write {ALL} or {FAMILY}NAME.")
    family = selector.removeprefix(FAMILY)
    families = {name: _family_of(modules, name) for name in names}
    found = [name for name, own in families.items() if own == family]
    if not found:
        known = sorted({own for own in families.values() if own})
        raise RequestError(
            f"no module is of family {family!r}: got {selector!r}. Choose from "
            f"{', '.join(known)}.{suggestion(family, known)}"
        )
    return found


def _family_of(modules: Registry[ModuleFactory], name: str) -> str | None:
    declared = modules.entry(name).family
    with suppress(PluginError):
        card = None if declared else card_of(modules.get(name))
        return card.family if card else declared or None
    return None
