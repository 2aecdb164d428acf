"""What all suites of one pytest run share: settings, baseline, catalog and meters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attnbench.errors import RequestError
from attnbench.registry.settings import ProjectSettings, settings

if TYPE_CHECKING:
    from attnbench.measure.cost import CostMeter
    from attnbench.measure.latency import LatencyMeter
    from attnbench.registry.plugins import Catalog

DEFAULT_OUT = "attnbench-results"


@dataclass(frozen=True)
class Project:
    """The project under test, as its settings and the options say.

    Attributes:
        settings: of the folder that pytest calls the root.
        baseline: folder of the baseline; None where none is set.
        budget: seconds of sampling for each latency case; None leaves it to the suite.
    """

    settings: ProjectSettings
    baseline: Path | None
    budget: float | None

    @cached_property
    def catalog(self) -> Catalog:
        """The process's catalog with the plugins of the settings.

        Raises:
            PluginError: one of them cannot be loaded.
        """
        from attnbench.registry.plugins import catalog

        found = catalog()
        for path in self.settings.plugin_paths:
            found.load_file(path)
        return found

    @cached_property
    def cost(self) -> CostMeter:
        """Counts; what is known of backbones and modules is shared by all cases."""
        from attnbench.measure.cost import CostMeter

        return CostMeter(self.catalog)

    @cached_property
    def latency(self) -> LatencyMeter:
        """Proves and times."""
        from attnbench.measure.latency import LatencyMeter

        return LatencyMeter(self.cost)


_KEY = pytest.StashKey[Project]()


def project_of(config: pytest.Config) -> Project:
    """Return the project of a pytest run.

    Raises:
        pytest.UsageError: its settings cannot be read.
        RequestError: the folder of the baseline that was asked for is not there.
    """
    if _KEY not in config.stash:
        config.stash[_KEY] = _project(config)
    return config.stash[_KEY]


def _project(config: pytest.Config) -> Project:
    try:
        known = settings(config.rootpath)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
    asked: str | None = config.getoption("attnbench_baseline")
    baseline = None if known.baseline is None else known.root / known.baseline
    if asked is not None:
        baseline = config.invocation_params.dir / asked
        if not baseline.is_dir():
            raise RequestError(f"--attnbench-baseline {asked}: there is no such folder")
    return Project(known, baseline, config.getoption("attnbench_budget") or known.budget)
