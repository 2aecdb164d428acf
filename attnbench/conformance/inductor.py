"""Inductor check: the compiled module gives the same output."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from attnbench.conformance.findings import Finding
from attnbench.conformance.graph_capture import own_dynamo
from attnbench.conformance.module_under_test import Subject
from attnbench.conformance.runtime_export import in_runtime


def inductor(subject: Subject) -> Iterator[Finding]:
    """Compile each form and compare outputs; reset the compiler cache, but keep its limits."""
    config = torch._dynamo.config
    limits = {
        "recompile_limit": config.recompile_limit,
        "accumulated_recompile_limit": config.accumulated_recompile_limit,
    }
    with config.patch(limits), own_dynamo():
        yield from in_runtime(
            subject,
            "compile",
            "Write the step that it names in plain tensor operations; `graph` tells of breaks.",
        )
