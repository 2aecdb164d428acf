"""``attnbench show module``: details of a module and the results of its checks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from attnbench.cli.output import console, guests, print_json, say, writing
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.conformance.checks import Check
    from attnbench.registry.attention import Attention
    from attnbench.registry.plugins import Catalog

MODULE_FORMATS = ("text", "json", "md", "tex")


def show_module(catalog: Catalog, name: str, form: str, *, check: bool = True) -> None:
    """Write a module to standard output.

    Args:
        catalog: catalog for the lookup of the module.
        name: name or spec.
        form: one of :data:`MODULE_FORMATS`; ``tex`` is the formula alone.
        check: also run the conformance checks.

    Raises:
        RequestError: there is no such module, or it has no formula for ``tex``.
    """
    with guests():
        document = _document(catalog, name, check=check and form != "tex")
    if form == "json":
        print_json(document)
        return
    text = "" if form == "text" else _page(document, form)
    with writing():
        if form == "text":
            _print(document)
        sys.stdout.write(text)


def _document(catalog: Catalog, name: str, *, check: bool) -> dict[str, Any]:
    from attnbench.registry.attention import find_attention
    from attnbench.reports.module_page.document import describe_module

    attention = find_attention(name, catalog)
    document = describe_module(attention, catalog)
    return document | _checked(attention) if check else document


def _checked(attention: Attention) -> dict[str, Any]:
    from attnbench.reports.module_page.conformance import conformance_of

    with _check_callback(str(attention.spec)) as callback:
        return conformance_of(attention, callback)


@contextmanager
def _check_callback(spec: str) -> Iterator[Callable[[Check], object]]:
    """Report progress on standard error: each check on a terminal, otherwise a single line."""
    if not sys.stderr.isatty():
        say(f"checking {spec}, which takes seconds; --no-check leaves it out")
        yield id
        return
    try:
        yield lambda check: _overwrite(f"checking {spec}: {check.name}")
    finally:
        _overwrite("")


def _overwrite(line: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()


def _print(document: dict[str, Any]) -> None:
    from attnbench.reports.module_page.sections import sections_of
    from attnbench.reports.module_page.terminal import print_module

    print_module(_headline(document), sections_of(document), console())


def _page(document: dict[str, Any], form: str) -> str:
    from attnbench.reports.module_page.latex_formula import display
    from attnbench.reports.module_page.markdown import module_markdown
    from attnbench.reports.module_page.sections import sections_of

    if form == "md":
        return module_markdown(_headline(document), sections_of(document))
    if not document["formula_tex"]:
        raise RequestError(
            f"{document['spec']} ({document['origin']}) declares no formula for LaTeX; "
            "it is formula_tex on its card"
        )
    return f"% {_headline(document)}\n{display(document['formula_tex'])}\n"


def _headline(document: dict[str, Any]) -> str:
    spec, title = document["spec"], document["title"]
    return spec if title == document["name"] else f"{spec}: {' '.join(title.split())}"
