"""Overview of several runs: the cost, latency and accuracy of every module at each place."""

from attnbench.reports.overview.entries import OverviewEntry, Place, collect
from attnbench.reports.overview.report import build_overview

__all__ = ["OverviewEntry", "Place", "build_overview", "collect"]
