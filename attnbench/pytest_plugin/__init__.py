"""The pytest plugin: options and fixture; other modules are imported once a suite is named.

Every pytest run of an environment imports this package, so it must stay cheap: no torch, no
pydantic, and no assertions to rewrite (PYTEST_DONT_REWRITE).
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

import pytest

from attnbench.pytest_plugin.benchmark import has_benchmark

if TYPE_CHECKING:
    from attnbench.pytest_plugin.fixture import AttentionBenchmark


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("attnbench", "attention modules (attnbench)")
    group.addoption(
        "--attnbench",
        action="append",
        default=[],
        dest="attnbench_suites",
        metavar="SUITE",
        help="Collect also the cases of a suite: name of a shipped one, or a .toml file; repeats.",
    )
    group.addoption(
        "--attnbench-baseline",
        dest="attnbench_baseline",
        metavar="DIR",
        help="Compare costs with DIR/SUITE/records.jsonl; default: baseline of [tool.attnbench].",
    )
    group.addoption(
        "--attnbench-budget",
        dest="attnbench_budget",
        type=_seconds,
        metavar="SECONDS",
        help="Sampling time of each latency case; default: of [tool.attnbench] or the suite.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture and, if a suite may be named, its collector."""
    fixture: Any = _WithTable() if has_benchmark(config) else _WithoutTable()
    config.pluginmanager.register(fixture, "attnbench-fixture")
    if config.getoption("attnbench_suites") or any(".toml" in argument for argument in config.args):
        from attnbench.pytest_plugin.suite_options import Suites

        config.pluginmanager.register(Suites(config), "attnbench-suites")


class _WithTable:
    """The fixture with pytest-benchmark, whose options must find its fixture in the test."""

    @pytest.fixture
    def attention_benchmark(self, request: pytest.FixtureRequest, benchmark: Any) -> Any:
        """Time an attention module against a baseline, interleaved; see AttentionBenchmark."""
        return _fixture(request.config, benchmark)


class _WithoutTable:
    """The fixture without pytest-benchmark."""

    @pytest.fixture
    def attention_benchmark(self, request: pytest.FixtureRequest) -> Any:
        """Time an attention module against a baseline, interleaved; see AttentionBenchmark."""
        return _fixture(request.config, None)


def _fixture(config: pytest.Config, benchmark: Any) -> AttentionBenchmark:
    from attnbench.pytest_plugin.fixture import AttentionBenchmark

    return AttentionBenchmark(config, benchmark)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ArgumentTypeError(f"not a number of seconds above 0: got {text!r}")
    return seconds
