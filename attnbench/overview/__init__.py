"""One page from several runs: every module by cost, latency and accuracy, at each place."""

from attnbench.overview.entries import Entry, Place, collect
from attnbench.overview.page import page

__all__ = ["Entry", "Place", "collect", "page"]
