"""Registry of checks, in the order in which they run. This file does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from attnbench.conformance.findings import Finding
from attnbench.errors import unknown

if TYPE_CHECKING:
    from attnbench.conformance.module_under_test import Subject


@dataclass(frozen=True)
class Check:
    """Conformance check."""

    name: str
    title: str
    """Property that holds if the check passes, as a sentence without a subject."""
    place: str
    """Module in this package; the function has the name of the check."""
    deep: bool = False
    """Whether the check needs compilers and runtimes and runs only with ``--deep``."""

    def run(self, subject: Subject) -> Iterable[Finding]:
        """Return findings about a subject; no findings mean that the check passes."""
        function = getattr(import_module(f"attnbench.conformance.{self.place}"), self.name)
        findings: Iterable[Finding] = function(subject)
        return findings


_CHECKS = (
    Check(
        "contract", "is built from the number of channels alone, afresh each time", "construction"
    ),
    # before checks that compare two outputs, so that the cause is reported first
    Check("input_kept", "leaves its input as it was", "side_effects"),
    Check(
        "determinism", "gives the same output again, and remembers nothing in eval", "side_effects"
    ),
    Check("formulas", "costs what its card's formulas say", "formulas"),
    Check("maps", "keeps the shape of maps of any size", "shapes"),
    Check("widths", "takes all widths of MobileNets, or declares which", "shapes"),
    Check("batch_independence", "images of a batch do not see each other", "side_effects"),
    Check("batch_one", "trains on a batch of one image", "side_effects"),
    Check("gradients", "every parameter and the input get a gradient", "gradients"),
    Check("dtypes", "works in double, half and brain-float precision", "precision"),
    Check("autocast", "works under autocast", "precision"),
    Check("memory_layout", "keeps channels_last, with the same output", "memory_layout"),
    Check("device", "follows its input to another device", "memory_layout"),
    Check("extremes", "stays finite on extreme maps", "extreme_inputs"),
    Check("nan", "passes a NaN on, to its own image only", "extreme_inputs"),
    Check("state_dict", "is rebuilt by its state dict", "copies"),
    Check("pickling", "survives pickling", "copies"),
    Check("deepcopy", "has deep copies that share nothing", "copies"),
    Check("fuse", "has an inference form with the same output", "fuse"),
    Check("graph", "is one graph to the compiler", "graph_capture"),
    Check("export", "exports with a batch of any size", "graph_capture"),
    Check("training", "trains at every place of a MobileNet", "insertion"),
    Check("drift", "changes an untrained map by", "insertion"),
    Check("inductor", "compiles to the same output", "runtime_export", deep=True),
    Check("onnx", "exports to ONNX with the same output", "runtime_export", deep=True),
    Check("openvino", "exports to OpenVINO with the same output", "runtime_export", deep=True),
    Check("executorch", "exports to ExecuTorch with the same output", "runtime_export", deep=True),
    Check("int8", "keeps its output when quantised to int8", "runtime_export", deep=True),
)
CHECKS: Mapping[str, Check] = {check.name: check for check in _CHECKS}
"""Checks by name, in order."""


def find_checks(names: Iterable[str]) -> list[Check]:
    """Return the checks of some names, in the order in which they run.

    Raises:
        UnknownNameError: a name is not a check; the message suggests similar names.
    """
    wanted = list(names)
    for name in wanted:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    return [check for check in CHECKS.values() if check.name in wanted]


def default_checks(deep: bool = False) -> list[Check]:
    """Return the quick checks; all checks if ``deep``."""
    return [check for check in CHECKS.values() if deep or not check.deep]
