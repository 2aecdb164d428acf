"""The conformance checks as a test class, to be subclassed in a pytest suite.

    from attnbench.testing import ModuleConformance
    from my_attention import MyAttention

    class TestMyAttention(ModuleConformance):
        module = MyAttention

Each check is a test with the check's name as its id: ``-k batch_independence`` runs one. A check
that the module breaks fails with the observation and a remedy; a check that cannot run here is
skipped, with the reason; notes and declared exceptions are in a report section of their own, which
``-rP`` and ``-rA`` show. No check issues a warning.

Further class attributes: ``options`` of the module; ``exceptions``, checks that cannot hold, each
with the reason; ``deep = True`` for compilers, exports and int8, which take a minute more. Each can
come from a mixin or a base class, and a subclass overrides individual attributes:

    class TestEight(TestMyAttention):
        options = {"groups": 8}

Besides a class, ``module`` takes a factory ``channels -> nn.Module`` and any name that the command
line takes: ``"my_attention"`` (registered by an installed plugin, or by the plugin files of
``[tool.attnbench]``), ``"my_attention,groups=8"``, ``"my.py:MyAttention"``, ``"timm:eca"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from attnbench.conformance.checks import Check, default_checks
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import BROKEN, OK, SKIPPED, Finding
from attnbench.conformance.module_under_test import Subject
from attnbench.errors import AttnbenchError
from attnbench.registry.attention import Attention, find_attention, from_callable
from attnbench.registry.plugins import catalog
from attnbench.registry.settings import settings
from attnbench.registry.specs import parse_spec
from attnbench.registry.validation import exception_problems

_TEST = "test_conformance"
_SUBJECTS: dict[type, Subject] = {}
"""Cache: the module of each class is resolved once, and suitable feature maps are found once."""


class ModuleConformance:
    """All conformance checks of one module, each a test."""

    module: ClassVar[str | Callable[..., Any]]
    """Name or spec of a registered module, a class, or a factory ``channels -> nn.Module``."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Options of the module under test."""
    exceptions: ClassVar[Mapping[str, str]] = {}
    """Checks that cannot hold, by name, with the reason, in addition to those of the card."""
    deep: ClassVar[bool] = False
    """Flag for the checks that compile, export and quantize the module: a minute more."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Generate one test per check, or a single failing test for a misconfigured class."""
        if metafunc.definition.originalname != _TEST:
            return
        problem = _problem(cls)
        checks: Sequence[Check | str] = [problem] if problem else default_checks(cls.deep)
        ids = [check.name if isinstance(check, Check) else "class" for check in checks]
        metafunc.parametrize("check", checks, ids=ids)

    def test_conformance(self, check: Any, request: pytest.FixtureRequest) -> None:
        """Run one check."""
        if isinstance(check, str):
            pytest.fail(check, pytrace=False)
        findings = _findings(type(self), check, request.config.rootpath)
        _keep(findings, request.node)
        bad = [_text(finding) for finding in findings if finding.status == BROKEN]
        if bad:
            pytest.fail("\n".join(bad), pytrace=False)
        left_out = [_text(finding) for finding in findings if finding.status == SKIPPED]
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
    plugins, project = catalog(), settings(root)
    for path in project.paths(project.plugins):
        plugins.load_file(path)
    return find_attention(parse_spec(module, "module").with_options(**cls.options), plugins)


def _problem(cls: type[ModuleConformance]) -> str | None:
    """Return a description of an invalid class attribute, or None if all are valid."""
    module = getattr(cls, "module", None)
    if module is None:
        return (
            f"{cls.__name__}.module is not set: a class, a factory channels -> nn.Module, or a "
            "name. If it is only a base of others, call it something that pytest does not collect."
        )
    if not callable(module) and not isinstance(module, str):
        return f"{cls.__name__}.module is a {type(module).__name__}: neither a name nor a class"
    problem = next(exception_problems(cls.exceptions), None)
    return problem and f"{cls.__name__}.exceptions: {problem}"


def _keep(findings: Sequence[Finding], item: pytest.Item) -> None:
    """Add a report section with the findings that the test outcome does not contain.

    They are not properties: a JUnit file of the default family cannot hold properties, and pytest
    warns about them.
    """
    lines = [
        _text(finding) if finding.status == OK else f"{finding.status}: {_text(finding)}"
        for finding in findings
        if finding.reason and finding.status not in (BROKEN, SKIPPED)
    ]
    if lines:
        item.add_report_section("call", "attnbench", "\n".join(lines))


def _text(finding: Finding) -> str:
    return f"{finding.reason}\ndo: {finding.remedy}" if finding.remedy else finding.reason
