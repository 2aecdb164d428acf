"""Overview of several runs: the cost, latency and accuracy of every module at each place."""

from attnbench.reports.overview.build_overview import build_overview
from attnbench.reports.overview.entries import OverviewEntry, Place, collect

__all__ = ["OverviewEntry", "Place", "build_overview", "collect"]
