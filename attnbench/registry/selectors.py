"""Selectors of registered modules: ``@all`` and ``@family:NAME``. Imports no torch itself."""

from __future__ import annotations

from collections.abc import Iterable

from attnbench.errors import PluginError, RequestError, suggestion
from attnbench.registry.plugins import Catalog
from attnbench.registry.validation import card_of

ALL = "@all"
FAMILY = "@family:"


def select_modules(catalog: Catalog, selector: str, names: Iterable[str]) -> list[str]:
    """Return the names that ``@all`` or ``@family:channel`` selects, in their order.

    The family comes from the table entry; a module is imported
    for its card only if its entry has no family.

    Raises:
        RequestError: the text is no selector, or the family has no module.
    """
    if selector == ALL:
        return list(names)
    if not (isinstance(selector, str) and selector.startswith(FAMILY)):
        raise RequestError(f"module {selector!r}: write {ALL} or {FAMILY}NAME")
    family = selector.removeprefix(FAMILY)
    families = {name: _family_of(catalog, name) for name in names}
    found = [name for name, own in families.items() if own == family]
    if not found:
        known = sorted({own for own in families.values() if own})
        raise RequestError(
            f"module {selector!r}: no module is of family {family!r}; there are "
            f"{', '.join(known)}.{suggestion(family, known)}"
        )
    return found


def _family_of(catalog: Catalog, name: str) -> str | None:
    declared = catalog.modules.entry(name).family
    if declared:
        return declared
    try:
        card = card_of(catalog.modules.get(name))
    except PluginError:
        return None
    return card.family if card else None
