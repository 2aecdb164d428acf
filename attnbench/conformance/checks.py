"""The checks by name, in the order in which they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from attnbench.conformance.findings import Finding, skipped
from attnbench.errors import RequestError, suggestion

if TYPE_CHECKING:
    from attnbench.conformance.subject import Subject

CheckFunction = Callable[["Subject"], Iterable[Finding]]
"""Looks at a subject and yields what it finds; nothing means that all is well."""


@dataclass(frozen=True)
class Check:
    """One check."""

    name: str
    title: str
    """What holds when it passes, as a sentence without a subject."""
    place: str
    """Its file in this package; the function has the check's name."""
    deep: bool = False
    """Takes compilers and runtimes: only with ``--deep``."""

    def run(self, subject: Subject) -> Iterable[Finding]:
        """Run it on a subject; a check whose code is not there is skipped, and says so."""
        function = self._function()
        if function is None:
            reason = f"attnbench has no code for it: {self.file} has no {self.name}"
            return [skipped(reason, "Install attnbench anew: a part of it is missing.")]
        return function(subject)

    @property
    def file(self) -> str:
        """Its module."""
        return f"attnbench.conformance.{self.place}"

    def _function(self) -> CheckFunction | None:
        try:
            return getattr(import_module(self.file), self.name, None)
        except ModuleNotFoundError as error:
            if error.name != self.file:
                raise  # what the file itself imports
            return None


def _named(*checks: Check) -> Mapping[str, Check]:
    return {check.name: check for check in checks}


CHECKS = _named(
    Check(
        "contract", "is built from the number of channels alone, afresh each time", "construction"
    ),
    # before what compares two outputs: what is at fault is named first
    Check("input_kept", "leaves its input as it was", "side_effects"),
    Check(
        "determinism", "gives the same output again, and remembers nothing in eval", "side_effects"
    ),
    Check("formulas", "costs what its card's formulas say", "formulas"),
    Check("maps", "keeps the shape of maps of any size", "shapes"),
    Check("widths", "takes all widths of MobileNets, or declares which", "widths"),
    Check("batch_independence", "images of a batch do not see each other", "batch"),
    Check("batch_one", "trains on a batch of one image", "batch"),
    Check("gradients", "every parameter and the input get a gradient", "gradients"),
    Check("dtypes", "works in double, half and brain-float precision", "precision"),
    Check("autocast", "works under autocast", "precision"),
    Check("memory_layout", "keeps channels_last, with the same output", "memory_layout"),
    Check("device", "follows its input to another device", "memory_layout"),
    Check("extremes", "stays finite on extreme maps", "extremes"),
    Check("nan", "passes a NaN on, to its own image only", "extremes"),
    Check("state_dict", "is rebuilt by its state dict", "copies"),
    Check("pickling", "survives pickling", "copies"),
    Check("deepcopy", "has deep copies that share nothing", "copies"),
    Check("fuse", "has an inference form with the same output", "fuse"),
    Check("graph", "is one graph to the compiler", "graph_capture"),
    Check("export", "exports with a batch of any size", "graph_capture"),
    Check("training", "trains at every place of a MobileNet", "insertion"),
    Check("drift", "changes an untrained map by", "drift"),
    Check("inductor", "compiles to the same output", "inductor", deep=True),
    Check("onnx", "exports to ONNX with the same output", "runtimes", deep=True),
    Check("openvino", "exports to OpenVINO with the same output", "runtimes", deep=True),
    Check("executorch", "exports to ExecuTorch with the same output", "runtimes", deep=True),
    Check("int8", "keeps its output when quantised to int8", "int8", deep=True),
)
"""All checks, in order."""


def named(names: Iterable[str]) -> list[Check]:
    """Return the checks of some names, in the order in which they run.

    Raises:
        RequestError: one is no check; near ones are suggested.
    """
    wanted = list(names)
    for name in wanted:
        if name not in CHECKS:
            raise RequestError(
                f"{name!r} is no check.{suggestion(name, CHECKS)} The checks: {', '.join(CHECKS)}"
            )
    return [check for check in CHECKS.values() if check.name in wanted]


def chosen(deep: bool = False) -> list[Check]:
    """Return the quick checks, or all."""
    return [check for check in CHECKS.values() if deep or not check.deep]
