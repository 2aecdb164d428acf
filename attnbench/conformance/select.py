"""Selection of the modules of a request: by name, by suite, from a file, or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attnbench.conformance.findings import ConformanceReport, failure
from attnbench.errors import AttnbenchError, DuplicateNameError, PluginError, unknown
from attnbench.registry.attention import Attention, find_attention
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.plugin_files import missing_class
from attnbench.registry.plugins import Catalog, find_target
from attnbench.registry.specs import parse_spec
from attnbench.suites.load import find_suite
from attnbench.suites.plan import plan

Chosen = Attention | ConformanceReport
"""Module, or the report on a module that cannot be loaded."""


def select_modules(words: Iterable[str], catalog: Catalog) -> list[Chosen]:
    """Return the modules of specs and suites, each once.

    Raises:
        RequestError: a name is unknown, a module does not accept its options, or a suite cannot
            be read.
    """
    return each_once(choice for word in words for choice in _meant(word, catalog))


def all_modules(catalog: Catalog) -> list[Chosen]:
    """Return all registered modules, and reports on plugins that failed to load."""
    found = [_registered(name, catalog) for name in catalog.modules.names()]
    reports = [report for report in found if isinstance(report, ConformanceReport)]
    reported = {report.findings[0].reason for report in reports}
    failed = [
        load_failure(loading.origin, loading.origin, loading.reason)
        for loading in catalog.failures
        if loading.reason not in reported
    ]
    return each_once([*found, *failed])


def load_failure(name: str, origin: str, reason: str) -> ConformanceReport:
    """Return the report on a module that cannot be loaded."""
    found = failure(reason, "Nothing else was checked: make it load first.").of("contract")
    return ConformanceReport(name, name, origin, (found,))


def _meant(word: str, catalog: Catalog) -> Iterator[Chosen]:
    name = word if word.endswith(".toml") else parse_spec(word, "module").name
    if name.endswith(".py"):
        raise missing_class(name)
    if name in catalog.modules or (":" in name and not name.endswith(".toml")):
        yield _module(word, name, catalog)
    elif name in catalog.suites or name.endswith(".toml") or "/" in name:
        yield from (find_attention(spec, catalog) for spec in _of_suite(word, catalog))
    else:
        modules = catalog.modules.names()
        raise unknown(
            "module or suite",
            name,
            [*modules, *catalog.suites.names()],
            listed=modules,
            elsewhere="backbone; modules and suites are checked" if is_backbone(name) else "",
            way_out="Or FILE.py:Class, SUITE.toml, --plugin FILE.",
        )


def _module(word: str, name: str, catalog: Catalog) -> Chosen:
    try:
        return find_attention(word, catalog)
    except DuplicateNameError:
        raise
    except PluginError as error:
        if name in catalog.modules:
            return load_failure(name, catalog.modules.entry(name).origin, str(error))
        try:
            find_target(catalog, name)
        except PluginError:
            raise error from None  # a missing file or class is a user error, not a broken module
        return load_failure(name, name.rpartition(":")[0], str(error))


def _registered(name: str, catalog: Catalog) -> Chosen:
    try:
        return find_attention(name, catalog)
    except AttnbenchError as error:
        return load_failure(name, catalog.modules.entry(name).origin, str(error))


def _of_suite(name: str, catalog: Catalog) -> list[str]:
    """Return the specs of a suite's modules, without controls by cost, which need counting."""
    tables = plan(find_suite(name, catalog), catalog, brackets=lambda _: ())
    cases = [case for table in tables for row in table.rows for case in row.cases]
    return list(dict.fromkeys(case.module for case in cases if case.module))


def each_once(found: Iterable[Chosen]) -> list[Chosen]:
    """Return the modules and reports without repetitions of a name."""
    return list({name_of(choice): choice for choice in found}.values())


def name_of(choice: Chosen) -> str:
    """Return the canonical spec of a module, or the name of a report."""
    return choice.name if isinstance(choice, ConformanceReport) else str(choice.spec)
