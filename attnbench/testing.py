"""The conformance checks as a test class: subclass it in your own pytest.

    from attnbench.testing import ModuleConformance
    from my_attention import MyAttention

    class TestMyAttention(ModuleConformance):
        module = MyAttention

Each check is a test of its own. What the contract breaks fails with the reason and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from attnbench.attention import Attention, find_attention, from_callable
from attnbench.conformance.checks import chosen
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import BROKEN, SKIPPED
from attnbench.conformance.subject import Subject
from attnbench.specs import Spec, parse_spec


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
        """Make a test of each check."""
        if "check" in metafunc.fixturenames:
            checks = chosen(cls.deep)
            metafunc.parametrize("check", checks, ids=[one.name for one in checks])

    def test_conformance(self, check: Any) -> None:
        """Run one check."""
        findings = run_check(check, Subject(self._attention(), self.exceptions))
        for status, end in ((BROKEN, pytest.fail), (SKIPPED, pytest.skip)):
            found = [f"{one.reason}. {one.remedy}" for one in findings if one.status == status]
            if found:
                end("\n".join(found))

    def _attention(self) -> Attention:
        module = type(self).__dict__.get("module", type(self).module)
        if isinstance(module, str):
            return find_attention(parse_spec(module, "module").given(**self.options))
        return from_callable(module, self.options) if callable(module) else find_attention(Spec(""))
