"""The package that is written: whole, tidy and working, or nothing at all."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

from attnbench.errors import RequestError
from attnbench.registry.validation import card_problems
from attnbench.scaffold.package_names import LONGEST, PackageNames
from attnbench.scaffold.write_package import FILES, rendered, written

NAMES = PackageNames("new_gate")
ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "strip_gate"


def files_of(folder):
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def run(*words, cwd, path=()):
    """Run Python in a folder; it sees this checkout, or what is installed, and more folders."""
    here = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here)}
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestContent:
    @pytest.mark.parametrize("name", ["a", "new_gate", "x" * LONGEST, "ab_" * 8 + "abcd", "tensor"])
    def test_sources_are_tidy_whatever_the_name(self, name):
        for path, text in rendered(PackageNames(name)).items():
            assert "{{" not in text.replace("{{ github", "")
            assert text.endswith("\n") or not text
            assert not [line for line in text.splitlines() if line != line.rstrip()]
            if path.endswith(".py"):
                ast.parse(text)
                # formatters break lines after 88 characters
                assert max(map(len, text.splitlines())) <= 88, path

    def test_pyproject(self):
        found = tomllib.loads(rendered(NAMES)["pyproject.toml"])
        assert found["project"]["name"] == "new-gate"
        assert found["project"]["dependencies"] == ["attnbench"]
        own = tomllib.loads((ROOT / "pyproject.toml").read_text())
        assert found["project"]["requires-python"] == own["project"]["requires-python"]
        points = found["project"]["entry-points"]["attnbench.plugins"]
        assert points == {"new_gate": "new_gate:MODULES"}
        assert found["tool"]["attnbench"]["plugins"] == ["."]

    def test_the_table_is_the_cards_and_free_of_torch(self):
        content = rendered(NAMES)
        code = {}
        exec(content["src/new_gate/__init__.py"], code)
        exec(content["src/new_gate/module.py"], card := {})
        entry, card = code["MODULES"]["new_gate"], card["NewGate"].card
        assert (entry["title"], entry["family"]) == (card.title, card.family)
        assert card_problems(card) == []
        assert "import" not in content["src/new_gate/__init__.py"].partition('"""\n\n')[2]

    def test_commands_of_the_readme_name_the_module(self):
        readme = rendered(NAMES)["README.md"]
        assert "attnbench check new_gate" in readme
        assert "attnbench run ulsam-table1 --add new_gate" in readme

    @pytest.mark.parametrize("name", ["pyproject.toml", ".github/workflows/test.yml", ".gitignore"])
    def test_the_example_is_what_it_writes(self, name):
        """Where the example's author had nothing to change; CI checks the workflow's schema there."""
        expected = rendered(PackageNames("strip_gate"))[name]
        found = (EXAMPLE / name).read_text()
        if name == "pyproject.toml":
            found, expected = (
                "".join(line for line in one.splitlines(True) if not line.startswith("description"))
                for one in (found, expected)
            )
        assert found == expected


class TestWriting:
    def test_every_file(self, tmp_path):
        found = written(NAMES, tmp_path / "new_gate")
        assert [one for one in found if not one.is_file()] == []
        assert files_of(tmp_path) == {f"new_gate/{one.format(module='new_gate')}" for one in FILES}
        (tmp_path / "by_hand").mkdir()
        assert (tmp_path / "new_gate").stat().st_mode == (tmp_path / "by_hand").stat().st_mode

    def test_folders_above_and_an_empty_one(self, tmp_path, monkeypatch):
        written(NAMES, tmp_path / "a" / "b")
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        written(NAMES, Path())
        assert files_of(tmp_path / "empty") == files_of(tmp_path / "a" / "b")

    @pytest.mark.parametrize("there", ["notes.txt", ".git/config"])
    def test_a_folder_that_holds_something(self, tmp_path, there):
        (tmp_path / there).parent.mkdir(exist_ok=True)
        (tmp_path / there).write_text("mine")
        with pytest.raises(RequestError, match=f"is not empty .it holds {there.split('/')[0]}.*-o"):
            written(NAMES, tmp_path)
        assert files_of(tmp_path) == {there}

    def test_a_file_and_a_link_to_nowhere(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        for name in ("file", "link"):
            with pytest.raises(RequestError, match="is a file; name another"):
                written(NAMES, tmp_path / name)

    def test_below_a_file(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(RequestError, match="cannot be written"):
            written(NAMES, tmp_path / "file" / "inner")

    @pytest.mark.parametrize("there", [True, False])
    def test_a_full_disk_leaves_nothing(self, tmp_path, monkeypatch, there):
        folder = tmp_path / "new_gate"
        if there:
            folder.mkdir()
        write = Path.write_text

        def fails(self, *words, **named):
            if self.name == "module.py":
                raise OSError(28, "No space left on device")
            return write(self, *words, **named)

        monkeypatch.setattr(Path, "write_text", fails)
        with pytest.raises(RequestError, match="No space left on device; name another place"):
            written(NAMES, folder)
        assert list(tmp_path.rglob("*")) == ([folder] if there else [])

    def test_an_interruption_while_moving_leaves_nothing(self, tmp_path, monkeypatch):
        replace, moved = os.replace, []

        def stops(source, target):
            if len(moved) == 2:
                raise KeyboardInterrupt
            moved.append(target)
            replace(source, target)

        monkeypatch.setattr(os, "replace", stops)
        with pytest.raises(KeyboardInterrupt):
            written(NAMES, tmp_path)
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new") / "new_gate"
    written(NAMES, folder)
    return folder


class TestWorking:
    # that its own tests pass, uninstalled, is proved by tox -e examples

    def test_commands_know_it_in_its_folder(self, project):
        words = ("-m", "attnbench", "list", "modules", "--json")
        listed = {one["name"]: one for one in json.loads(run(*words, cwd=project / "src"))}
        assert listed["new_gate"]["title"] == "New gate"

    def test_it_installs_without_a_network(self, project, tmp_path):
        site = tmp_path / "site"
        words = ("-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", "--no-deps")
        run(*words, "--target", str(site), str(project), cwd=tmp_path)
        (found,) = distributions(path=[str(site)])
        (point,) = found.entry_points
        assert (found.name, point.group) == ("new-gate", "attnbench.plugins")
        assert (site / "new_gate" / "py.typed").is_file()
        listed = json.loads(
            run("-m", "attnbench", "list", "modules", "--json", cwd=tmp_path, path=[site])
        )
        assert "new_gate" in {one["name"] for one in listed}
