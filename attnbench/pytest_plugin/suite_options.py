"""Collection of named suites, and their final summary. Imported only if a suite may be named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attnbench.errors import AttnbenchError
from attnbench.pytest_plugin.project import project_of
from attnbench.pytest_plugin.reporting import NEW, NOTE, RATIO
from attnbench.utils.toml import parse_toml

if TYPE_CHECKING:
    from attnbench.pytest_plugin.collect import SuiteFile


class Suites:
    """The hooks that collect suites, arguments or of ``--attnbench``, and write the summary.

    Raises:
        pytest.UsageError: there is no such suite, or the settings cannot be read.
    """

    def __init__(self, config: pytest.Config) -> None:
        names: Any = config.getoption("attnbench_suites")
        self.requested = dict.fromkeys(_file(name, config) for name in names)
        folder = config.invocation_params.dir
        named = {(folder / path.partition("::")[0]).resolve() for path in config.args}
        self.named = {path for path in named if path.suffix == ".toml"}
        self.claimed: dict[pytest.Collector, Path] = {}
        self.collected: set[Path] = set()
        self.notes: dict[str, dict[str, None]] = {RATIO: {}, NOTE: {}, NEW: {}}

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
        """Return the collector of a file that is named and is a suite; None for any other file."""
        if file_path.suffix != ".toml":
            return None
        path = file_path.resolve()
        if path not in self.requested and not (path in self.named and is_suite(path)):
            return None
        from attnbench.pytest_plugin.collect import SuiteFile

        file = SuiteFile.at(file_path, parent)
        self.claimed[file] = path
        return file

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Record the collected suites; pytest also visits files beside a named one."""
        if collector in self.claimed:
            self.collected.add(self.claimed[collector])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add the suites of ``--attnbench``, in any folder, before -k and other filters apply."""
        for path in self.requested:
            # a suite that is also an argument was collected as such, perhaps only one of its cases
            if path not in self.collected and (file := self.pytest_collect_file(path, session)):
                items.extend(session.genitems(file))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the notes of a report, also of those from other processes."""
        for name, value in report.user_properties if report.when == "call" else ():
            if name in self.notes:
                self.notes[name][str(value)] = None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the cases that were not compared, and the ratios."""
        fresh = (
            f"new, not in the baseline, nothing was compared: {case}" for case in self.notes[NEW]
        )
        lines = [*self.notes[RATIO], *self.notes[NOTE], *fresh]
        if lines:
            terminalreporter.section("attnbench")
            for line in lines:
                terminalreporter.line(line)


def is_suite(path: Path) -> bool:
    """Return whether a file has a ``[suite]`` table, or its head as a line of invalid TOML."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return False
    try:
        return isinstance(parse_toml(text).get("suite"), dict)
    except ValueError:
        return re.search(r"^\s*\[suite\]", text, re.MULTILINE) is not None


def _file(name: str, config: pytest.Config) -> Path:
    """Return the file of a suite given by name or path."""
    try:
        project_of(config)  # invalid settings are reported before the collection
    except AttnbenchError as error:
        raise pytest.UsageError(str(error)) from error
    if name.endswith(".toml") or "/" in name:
        path = config.invocation_params.dir / name
        if not path.is_file():
            raise pytest.UsageError(f"--attnbench file does not exist: got {name!r}")
        return path.resolve()
    from attnbench.registry.plugins import catalog

    try:
        return catalog().suites.get(name, way_out="Or give a path to a .toml file.").resolve()
    except AttnbenchError as error:
        raise pytest.UsageError(f"--attnbench: {error}") from error
