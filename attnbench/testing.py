"""The conformance checks as a test class: subclass it in your own pytest.

    from attnbench.testing import ModuleConformance
    from my_attention import MyAttention

    class TestMyAttention(ModuleConformance):
        module = MyAttention

Each check is a test with the check's name as its id: ``-k batch_independence`` runs one. A check
that the module breaks fails with what was seen and what to do about it; one that cannot be done
here is skipped, with the reason; what is merely worth knowing or declared stands in a section of
its own, which ``-rP`` and ``-rA`` show. Nothing is a warning.

Further class attributes: ``options`` of the module; ``exceptions``, checks that cannot hold and why
that has to be; ``deep = True`` for compilers, exports and int8, which take a minute more. Each can
come from a mixin or a base class, and a subclass changes what it must:

    class TestEight(TestMyAttention):
        options = {"groups": 8}

Besides a class, ``module`` takes a factory ``channels -> nn.Module`` and whatever the command line
takes: ``"my_attention"`` (registered by an installed plugin, or by the plugin files of
``[tool.attnbench]``), ``"my_attention,groups=8"``, ``"my.py:MyAttention"``, ``"timm:eca"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from attnbench.conformance.checks import CHECKS, Check, chosen
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import BROKEN, OK, SKIPPED, Finding
from attnbench.conformance.subject import Subject
from attnbench.errors import AttnbenchError, suggestion
from attnbench.registry.attention import Attention, find_attention, from_callable
from attnbench.registry.plugins import catalog
from attnbench.registry.settings import settings
from attnbench.registry.specs import parse_spec

_TEST = "test_conformance"
_SUBJECTS: dict[type, Subject] = {}
"""Each class's module is looked up once, and the maps that suit it are found once."""


class ModuleConformance:
    """All conformance checks of one module, each a test."""

    module: ClassVar[str | Callable[..., Any]]
    """Name or spec of a registered module, a class, or a factory ``channels -> nn.Module``."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Options that it is checked with."""
    exceptions: ClassVar[Mapping[str, str]] = {}
    """Checks that cannot hold, by name, and why, besides those on its card."""
    deep: ClassVar[bool] = False
    """Also compile, export and quantise it: a minute more."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Make a test of each check; of a class that is not set up, one that says so."""
        if metafunc.definition.originalname != _TEST:
            return
        checks: Sequence[Check | str] = chosen(cls.deep)
        problem = _problem(cls)
        if problem:
            checks = [problem]
        ids = [one.name if isinstance(one, Check) else "class" for one in checks]
        metafunc.parametrize("check", checks, ids=ids)

    def test_conformance(self, check: Any, request: pytest.FixtureRequest) -> None:
        """Run one check."""
        if isinstance(check, str):
            pytest.fail(check, pytrace=False)
        findings = _findings(type(self), check, request.config.rootpath)
        _keep(findings, request.node)
        bad = [_text(one) for one in findings if one.status == BROKEN]
        if bad:
            pytest.fail("\n".join(bad), pytrace=False)
        left_out = [_text(one) for one in findings if one.status == SKIPPED]
        if left_out:
            pytest.skip("; ".join(left_out).replace("\n", " "))


def _findings(cls: type[ModuleConformance], check: Check, root: Path) -> Sequence[Finding]:
    try:
        if cls not in _SUBJECTS:
            _SUBJECTS[cls] = Subject(_attention(cls, root), cls.exceptions)
    except AttnbenchError as error:
        pytest.fail(str(error), pytrace=False)
    return run_check(check, _SUBJECTS[cls])


def _attention(cls: type[ModuleConformance], root: Path) -> Attention:
    module = cls.module
    if not isinstance(module, str):
        return from_callable(module, cls.options)
    known, project = catalog(), settings(root)
    for path in project.paths(project.plugins):
        known.load_file(path)
    return find_attention(parse_spec(module, "module").given(**cls.options), known)


def _problem(cls: type[ModuleConformance]) -> str | None:
    """What is wrong with the attributes of a class; None where nothing is."""
    module = getattr(cls, "module", None)
    if module is None:
        return (
            f"{cls.__name__}.module is not set: a class, a factory channels -> nn.Module, or a "
            "name. If it is only a base of others, call it something that pytest does not collect."
        )
    if not callable(module) and not isinstance(module, str):
        return f"{cls.__name__}.module is a {type(module).__name__}: neither a name nor a class"
    if "contract" in cls.exceptions:
        return f"{cls.__name__}.exceptions: 'contract' has none: without it nothing else holds"
    for check, why in cls.exceptions.items():
        if check not in CHECKS:
            near = suggestion(check, CHECKS)
            return f"{cls.__name__}.exceptions: {check!r} is no check.{near}"
        if not why.strip():
            return f"{cls.__name__}.exceptions: {check!r} has no reason"
    return None


def _keep(findings: Sequence[Finding], item: pytest.Item) -> None:
    """Keep what the outcome does not say in a section of the report.

    Not as properties: they cannot be in a JUnit file of the default family, and pytest warns.
    """
    lines = [
        _text(one) if one.status == OK else f"{one.status}: {_text(one)}"
        for one in findings
        if one.reason and one.status not in (BROKEN, SKIPPED)
    ]
    if lines:
        item.add_report_section("call", "attnbench", "\n".join(lines))


def _text(found: Finding) -> str:
    return f"{found.reason}\ndo: {found.remedy}" if found.remedy else found.reason
