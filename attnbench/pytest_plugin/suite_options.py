"""Which suites are named, and what is said of them at the end. Imported once one may be."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attnbench.errors import AttnbenchError
from attnbench.pytest_plugin.project import project_of
from attnbench.pytest_plugin.report_notes import Notes

if TYPE_CHECKING:
    from attnbench.pytest_plugin.collect import SuiteFile


class Suites:
    """The hooks that collect named suites and sum up.

    Args:
        config: of the run; suites of ``--attnbench`` come on top of what it collects.

    Raises:
        pytest.UsageError: there is no such suite, or the settings cannot be read.
    """

    def __init__(self, config: pytest.Config) -> None:
        asked: Any = config.getoption("attnbench_suites")
        self.asked = dict.fromkeys(_file(name, config) for name in asked)
        folder = config.invocation_params.dir
        named = {(folder / one.partition("::")[0]).resolve() for one in config.args}
        self.named = {path for path in named if path.suffix == ".toml"}
        self.claimed: dict[pytest.Collector, Path] = {}
        self.collected: set[Path] = set()
        self.notes = Notes()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
        """Claim a file that is named and is a suite; leave all others alone."""
        if file_path.suffix != ".toml":
            return None
        path = file_path.resolve()
        if path not in self.asked and not (path in self.named and is_suite(path)):
            return None
        from attnbench.pytest_plugin.collect import SuiteFile

        file = SuiteFile.at(file_path, parent)
        self.claimed[file] = path
        return file

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Take note of what is collected; neighbours of what is named are only looked at."""
        if collector in self.claimed:
            self.collected.add(self.claimed[collector])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add the suites of ``--attnbench``, wherever they are; -k and others look at them next."""
        for path in self.asked:
            # one that is named as well was collected as it is named, perhaps a single case of it
            if path not in self.collected and (file := self.pytest_collect_file(path, session)):
                items.extend(session.genitems(file))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take notes; they come with the reports, from other processes too."""
        self.notes.take(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was not compared, and the ratios."""
        lines = self.notes.lines()
        if lines:
            terminalreporter.section("attnbench")
            for line in lines:
                terminalreporter.line(line)


def is_suite(path: Path) -> bool:
    """Whether a file holds a ``[suite]`` table; of one that is no TOML, whether it means to."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return False
    try:
        return isinstance(tomllib.loads(text).get("suite"), dict)
    except (ValueError, RecursionError):
        return re.search(r"^\s*\[suite\]", text, re.MULTILINE) is not None


def _file(name: str, config: pytest.Config) -> Path:
    """Return the file of a suite given by name or path."""
    try:
        project_of(config)  # broken settings are told before anything is collected
    except AttnbenchError as error:
        raise pytest.UsageError(str(error)) from error
    if name.endswith(".toml") or "/" in name:
        path = config.invocation_params.dir / name
        if not path.is_file():
            raise pytest.UsageError(f"--attnbench {name}: there is no such file")
        return path.resolve()
    from attnbench.registry.plugins import catalog

    try:
        return catalog().suites.get(name, way_out="Or give a path to a .toml file.").resolve()
    except AttnbenchError as error:
        raise pytest.UsageError(f"--attnbench: {error}") from error
