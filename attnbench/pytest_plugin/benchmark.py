"""Presence of pytest-benchmark in a pytest run."""

from __future__ import annotations

import pytest


def has_benchmark(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark is installed, and not blocked by ``-p no:benchmark``."""
    return config.getoption("--benchmark-disable", default=None) is not None
