"""Project of a pytest run, shared by all suites: settings, baseline, catalog and meters."""

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
    """The project under test, according to its settings and the options.

    Attributes:
        settings: the settings of pytest's root folder.
        baseline: the folder of the baseline; None if none is set.
        budget: seconds of sampling for each latency case; None for the suite's budget.
    """

    settings: ProjectSettings
    baseline: Path | None
    budget: float | None

    @cached_property
    def catalog(self) -> Catalog:
        """The process's catalog with the plugins of the settings.

        Raises:
            PluginError: a plugin cannot be loaded.
        """
        from attnbench.registry.plugins import catalog
        from attnbench.utils.forked_trial import trials

        current = catalog()
        with trials():
            for path in self.settings.plugin_paths:
                current.load_file(path)
        return current

    @cached_property
    def cost(self) -> CostMeter:
        """The cost meter, with a cache of backbones and modules for all cases."""
        from attnbench.measure.cost import CostMeter

        return CostMeter(self.catalog)

    @cached_property
    def latency(self) -> LatencyMeter:
        """The latency meter, which verifies and times networks."""
        from attnbench.measure.latency import LatencyMeter

        return LatencyMeter(self.cost)


_KEY = pytest.StashKey[Project]()


def project_of(config: pytest.Config) -> Project:
    """Return the project of a pytest run.

    Raises:
        pytest.UsageError: the settings cannot be read.
        RequestError: the requested folder of the baseline does not exist.
    """
    if _KEY in config.stash:
        return config.stash[_KEY]
    try:
        found = settings(config.rootpath)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
    folder: str | None = config.getoption("attnbench_baseline")
    baseline = None if found.baseline is None else found.root / found.baseline
    if folder is not None:
        baseline = config.invocation_params.dir / folder
        if not baseline.is_dir():
            raise RequestError(f"--attnbench-baseline folder does not exist: got {folder!r}")
    budget = config.getoption("attnbench_budget") or found.budget
    config.stash[_KEY] = Project(found, baseline, budget)
    return config.stash[_KEY]
