"""Worker side of ``attnbench check``: one check of one module at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from attnbench.conformance.checks import CHECKS
from attnbench.conformance.examine import run_check
from attnbench.conformance.module_under_test import Subject
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import Catalog


class CheckTask:
    """Task handler of a worker for checks; it keeps the last module from check to check.

    Args:
        catalog: catalog of the modules.
        tell: callback that receives each finding at once, as JSON, so that findings survive a
            check that ends the process.
    """

    def __init__(self, catalog: Catalog, tell: Callable[[str], object]) -> None:
        self._catalog, self._tell = catalog, tell
        self._subjects: dict[str, Subject] = {}

    def check(self, module: str, name: str) -> dict[str, Any]:
        """Run a check on a module, given by its spec; return ``findings`` and ``seconds``.

        Raises:
            AttnbenchError: the catalog does not contain the module.
        """
        started = time.perf_counter()
        found = run_check(
            CHECKS[name],
            self._subject(module),
            lambda finding: self._tell(json.dumps(finding.to_dict())),
        )
        findings = [finding.to_dict() for finding in found]
        return {"findings": findings, "seconds": time.perf_counter() - started}

    def _subject(self, module: str) -> Subject:
        if module not in self._subjects:
            self._subjects = {module: Subject(find_attention(module, self._catalog))}
        return self._subjects[module]
