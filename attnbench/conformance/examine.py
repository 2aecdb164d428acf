"""Execution of checks on a module, with isolation from its errors."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

from attnbench.conformance.checks import CHECKS, Check, default_checks
from attnbench.conformance.findings import (
    BROKEN,
    ConformanceReport,
    Finding,
    apply_exceptions,
    failure,
    merge_causes,
    skip,
    success,
)
from attnbench.conformance.module_under_test import Subject
from attnbench.errors import AttnbenchError
from attnbench.registry.attention import Attention, find_attention
from attnbench.registry.plugins import Catalog
from attnbench.utils.process_settings import preserve_settings
from attnbench.utils.text import describe

NOT_CHECKED = skip(
    "not checked: it cannot be built, run and trained", "Mend what the check 'contract' says first."
)
"""Finding of all checks after a fatal finding, because they would fail in the same way."""


def examine(
    attention: Attention,
    checks: Iterable[Check] | None = None,
    *,
    exceptions: Mapping[str, str] | None = None,
    on_check: Callable[[Check], object] = id,
) -> ConformanceReport:
    """Return the conformance report of a module.

    Args:
        attention: the module with its options.
        checks: checks to run; the quick ones if left out.
        exceptions: check to reason, in addition to those of the card.
        on_check: called with each check before it begins.
    """
    started = time.perf_counter()
    subject = Subject(attention, exceptions or {})
    findings: list[Finding] = []
    fatal = False
    for check in default_checks() if checks is None else checks:
        on_check(check)
        found = (NOT_CHECKED.of(check.name),) if fatal else run_check(check, subject)
        fatal = fatal or is_fatal(found)
        findings += found
    return report_on(attention, findings, time.perf_counter() - started)


def report_on(
    attention: Attention, findings: Iterable[Finding], seconds: float
) -> ConformanceReport:
    """Return the report with all findings on a module; ``seconds`` is the duration of checks."""
    return ConformanceReport(
        str(attention.spec),
        attention.title,
        attention.origin,
        merge_causes(tuple(findings)),
        seconds,
    )


def is_fatal(findings: Iterable[Finding]) -> bool:
    """Return whether no command takes the module, so that no other check is possible."""
    return any(finding.values.get("fatal") for finding in findings)


def run_check(
    check: Check, subject: Subject, on_finding: Callable[[Finding], object] = id
) -> tuple[Finding, ...]:
    """Return the findings of one check; at least one, which is ok if the check passes.

    Args:
        check: check to run.
        subject: module under examination.
        on_finding: called with each finding at once, before the card's exceptions apply.
    """
    card = subject.card
    exceptions = {**(card.exceptions if card else {}), **subject.exceptions}
    found: list[Finding] = []
    try:
        with _undisturbed():
            # one by one, so that findings before a crash are not lost
            for finding in check.run(subject):
                found.append(finding)
                on_finding(finding)
    except AttnbenchError as error:
        found.append(
            failure(str(error), "Make it build there, or declare a Constraint on its card.")
        )
    except Exception as error:
        if not any(finding.status == BROKEN for finding in found):
            found.append(failure(f"raises {describe(error)}", "Make it run, or declare why not."))
    found = found or [success()]
    return apply_exceptions(found, check.name, exceptions, card.defects if card else {})


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Fix the random seed and suppress warnings while entered.

    On exit, both are restored, and so are the settings that a module may change: the checks also
    run within the tests of other projects.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), preserve_settings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        # maps are small: on a busy machine threads wait for each other, and a correct module may
        # take minutes
        torch.set_num_threads(1)
        yield


class CheckTask:
    """Task handler of a worker for checks; it keeps the last module from check to check.

    Args:
        catalog: catalog of the modules.
        on_finding: called with each finding at once, as JSON, so that findings survive a check
            that ends the process.
    """

    def __init__(self, catalog: Catalog, on_finding: Callable[[str], object]) -> None:
        self._on_finding = on_finding
        self._subject = lru_cache(maxsize=1)(lambda name: Subject(find_attention(name, catalog)))

    def check(self, module: str, name: str) -> dict[str, Any]:
        """Run a check on a module, given by its spec; return ``findings`` and ``seconds``.

        Raises:
            AttnbenchError: the catalog does not contain the module.
        """
        started = time.perf_counter()
        found = run_check(
            CHECKS[name],
            self._subject(module),
            lambda finding: self._on_finding(json.dumps(finding.to_dict())),
        )
        findings = [finding.to_dict() for finding in found]
        return {"findings": findings, "seconds": time.perf_counter() - started}
