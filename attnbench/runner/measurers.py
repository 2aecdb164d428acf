"""Measurers of each kind of case, with shared surveys of backbones."""

from __future__ import annotations

from typing import Any

from attnbench.errors import MissingExtraError
from attnbench.measure.accuracy import AccuracyMeter
from attnbench.measure.cost import CostMeter
from attnbench.measure.latency import LatencyMeter
from attnbench.registry.plugins import Catalog
from attnbench.suites.case import Case


class Measurers:
    """The measurers of all kinds.

    Args:
        catalog: catalog for the lookup of modules.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.cost = CostMeter(catalog)
        self.latency = LatencyMeter(self.cost)
        self.accuracy = AccuracyMeter(self.cost)

    def of(self, case: Case) -> Any:
        """Return the meter for the kind of a case."""
        return {"latency": self.latency, "accuracy": self.accuracy}.get(case.kind, self.cost)

    @staticmethod
    def require_gpu() -> None:
        """Raise :class:`MissingExtraError` on a machine without a GPU."""
        import torch

        if not torch.cuda.is_available():
            raise MissingExtraError(
                "needs a GPU, and there is none: on a processor these trainings take weeks; "
                "take `gpu = true` out of a copy of the suite to train them all the same"
            )
