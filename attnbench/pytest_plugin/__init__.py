"""The pytest plugin: hooks, collection of suites, and the fixture ``attention_benchmark``.

Every pytest run of an environment imports this package, so it must stay cheap: no torch, no
pydantic, and no assertions to rewrite (PYTEST_DONT_REWRITE).
"""

from attnbench.pytest_plugin.hooks import pytest_addoption, pytest_configure

__all__ = ["pytest_addoption", "pytest_configure"]
