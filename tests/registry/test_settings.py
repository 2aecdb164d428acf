import subprocess
import sys

import pytest

from attnbench.errors import RequestError
from attnbench.registry.settings import ProjectSettings, settings


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return settings(tmp_path)

    return write


def test_without_a_file_or_a_table_the_defaults(tmp_path, written):
    assert written("[project]\nname = 'mine'\n") == ProjectSettings(root=tmp_path)
    assert settings(tmp_path).gates == {}


def test_everything(tmp_path, written):
    found = written(
        """
        [tool.attnbench]
        plugins = ["mine.py"]
        suites = ["quick", "suites/own.toml"]
        baseline = "baseline"
        out = "runs"
        budget = 8
        gates = {params = "exact", bytes = "ignore", latency = 0.03}
        """
    )
    assert found.plugins == ("mine.py",)
    assert found.suites == ("quick", "suites/own.toml")
    assert (found.baseline, found.out, found.budget) == ("baseline", "runs", 8)
    assert found.gates == {"params": "exact", "bytes": "ignore", "latency": 0.03}


def test_files_are_relative_to_the_projects_folder(tmp_path, written):
    (tmp_path / "own.toml").write_text("")
    found = written('[tool.attnbench]\nsuites = ["own.toml", "quick"]')
    assert found.paths(found.suites) == [str(tmp_path / "own.toml"), "quick"]


def test_plugins_are_files_and_folders_of_the_project(tmp_path, written):
    found = written('[tool.attnbench]\nplugins = [".", "mine.py"]')
    assert found.plugin_paths == [str(tmp_path), str(tmp_path / "mine.py")]


def test_the_nearest_file_counts(tmp_path, written):
    written('[tool.attnbench]\nout = "outer"')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert settings(inner).out == "outer"
    (inner / "pyproject.toml").write_text("")
    assert settings(inner).out is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool", "cannot be read"),
        ("[tool]\nattnbench = 3", "must be a table, not 3"),
        ("[tool.attnbench]\nsuite = []", "unknown key suite; known: .* Did you mean 'suites'"),
        ("[tool.attnbench]\nroot = 'x'", "unknown key root"),
        ("[tool.attnbench]\nplugins = 'mine.py'", "plugins must be a list of texts"),
        ("[tool.attnbench]\nsuites = [1]", "suites must be a list of texts"),
        ("[tool.attnbench]\nout = ''", "out must be a text"),
        ("[tool.attnbench]\nbudget = true", "budget must be a number of seconds above 0"),
        ("[tool.attnbench]\nbudget = nan", "budget must be a number of seconds above 0"),
        ("[tool.attnbench]\nbudget = 0", "budget must be a number of seconds above 0"),
        ("[tool.attnbench]\ngates = 'exact'", "gates must be a table"),
        ("[tool.attnbench.gates]\nmacs = 'ok'", "gates must be a table"),
        ("[tool.attnbench.gates]\nmacs = -1", "gates must be a table"),
    ],
)
def test_what_is_wrong_is_said_with_the_place(written, text, told):
    with pytest.raises(RequestError, match=rf"pyproject\.toml.*{told}"):
        written(text)


def test_settings_import_neither_torch_nor_pydantic():
    code = "import sys, attnbench.registry.settings; print(sorted({'torch', 'pydantic'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
