"""A case, and the rows and tables of cases that a suite is planned into."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnbench.suites.conditions import Conditions, Training
from attnbench.suites.schema import Row, TableLayout

DEFAULT_SIZE = (224, 224)


@dataclass(frozen=True)
class Case:
    """One thing to measure; specs and placement are canonical text."""

    kind: str
    backbone: str | None
    module: str | None
    placement: str | None
    channels: int | None
    size: tuple[int, int]
    """Of the input image; of the feature map for a module alone."""
    counters: bool = False
    fused: bool = False
    """The module's inference form instead of the one that trains."""
    conditions: Conditions | None = None
    """Of a latency case."""
    training: Training | None = None
    """Of an accuracy case: one training, with one seed."""

    @property
    def name(self) -> str:
        """The canonical name, ``cost/mobilenet_v2/ulsam,groups=8/replace:14,17``."""
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
        """The same backbone without the module."""
        return replace(self, module=None, placement=None, fused=False)

    def fuse(self) -> Case:
        """The case with the module's inference form."""
        return replace(self, fused=True)

    def timed(self, conditions: Conditions) -> Case:
        """The latency case of the same network."""
        return replace(self, kind="latency", counters=False, conditions=conditions)

    def trained(self, training: Training, side: int) -> Case:
        """The accuracy case of the same network, on images of ``side`` pixels."""
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
    """A row of a table with its cases: one, or one per column group."""

    label: str
    row: Row
    cases: tuple[Case, ...]
    latency: tuple[Case, ...] = ()
    """The same network timed, once for each group of columns."""
    accuracy: tuple[tuple[Case, ...], ...] = ()
    """Of each of ``cases`` its trainings, one for each seed; empty where none is asked for."""
    against: tuple[Case, ...] = ()
    """The plain backbone's trainings, seed by seed."""
    added: bool = False
    """Asked for on the command line, not in the suite's file."""


@dataclass(frozen=True)
class PlannedTable:
    """A table with its rows."""

    layout: TableLayout
    rows: tuple[PlannedRow, ...]
