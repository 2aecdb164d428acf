"""Overview of several runs: every module by cost, latency and accuracy, at each place."""

from attnbench.reports.overview.entries import OverviewEntry, Place, collect
from attnbench.reports.overview.report import build_overview

__all__ = ["OverviewEntry", "Place", "build_overview", "collect"]
