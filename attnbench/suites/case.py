"""Cases, and the rows and tables of cases of a planned suite."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnbench.suites.conditions import Conditions, Training
from attnbench.suites.schema import Row, TableLayout

DEFAULT_SIZE = (224, 224)


@dataclass(frozen=True)
class Case:
    """A unit of measurement; specs and placement are canonical text."""

    kind: str
    backbone: str | None
    module: str | None
    placement: str | None
    channels: int | None
    size: tuple[int, int]
    """Size of the input image; for a module alone, size of the feature map."""
    counters: bool = False
    fused: bool = False
    """Use of the module's inference form instead of its training form."""
    conditions: Conditions | None = None
    """Conditions of a latency case."""
    training: Training | None = None
    """Training of an accuracy case, with one seed."""

    @property
    def name(self) -> str:
        """Return the canonical name, ``cost/mobilenet_v2/ulsam,groups=8/replace:14,17``."""
        parts = [self.kind, self.backbone or "alone", self.module or "plain"]
        height, width = self.size
        if self.channels is not None:
            parts.append(f"{self.channels}x{height}x{width}")
        else:
            parts += [self.placement] if self.placement else []
            parts += [f"{height}x{width}"] if self.size != DEFAULT_SIZE else []
        parts += ["fused"] if self.fused else []
        parts += [str(self.conditions)] if self.conditions else []
        parts += [str(self.training)] if self.training else []
        return "/".join(parts)

    @property
    def plain(self) -> Case:
        """Return the case of the same backbone without the module."""
        return replace(self, module=None, placement=None, fused=False)

    def fuse(self) -> Case:
        """Return the case with the module's inference form."""
        return replace(self, fused=True)

    def timed(self, conditions: Conditions) -> Case:
        """Return the latency case of the same network."""
        return replace(self, kind="latency", counters=False, conditions=conditions)

    def trained(self, training: Training, side: int) -> Case:
        """Return the accuracy case of the same network, on images of ``side`` pixels."""
        return replace(
            self,
            kind="accuracy",
            size=(side, side),
            counters=False,
            fused=False,  # the inference form of the same weights
            training=training,
        )


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table with its cases: one case, or one per column group."""

    label: str
    row: Row
    cases: tuple[Case, ...]
    latency: tuple[Case, ...] = ()
    """Latency cases of the same network, one for each group of columns."""
    accuracy: tuple[tuple[Case, ...], ...] = ()
    """Trainings of each of ``cases``, one for each seed; empty if none are requested."""
    against: tuple[Case, ...] = ()
    """Trainings of the plain backbone, one for each seed."""
    added: bool = False
    """Origin on the command line instead of the suite file."""


@dataclass(frozen=True)
class PlannedTable:
    """A table with its rows."""

    layout: TableLayout
    rows: tuple[PlannedRow, ...]
