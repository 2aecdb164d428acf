"""The package that is written: whole, tidy and working, or nothing at all."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from importlib import resources
from importlib.metadata import distributions
from pathlib import Path

import pytest

from attnbench.errors import RequestError
from attnbench.registry.plugins import catalog
from attnbench.registry.validation import card_problems
from attnbench.scaffold import plugin_package as module
from attnbench.scaffold.plugin_package import (
    FILES,
    LONGEST,
    PackageNames,
    check_name,
    render,
    write_package,
)

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


@pytest.mark.parametrize(
    ("asked", "name", "distribution", "title", "cls"),
    [
        ("my_attention", "my_attention", "my-attention", "My attention", "MyAttention"),
        ("my-attention", "my_attention", "my-attention", "My attention", "MyAttention"),
        ("a", "a", "a", "A", "A"),
        ("se2_gate", "se2_gate", "se2-gate", "Se2 gate", "Se2Gate"),
        # what the templates import, and what Python has
        ("tensor", "tensor", "tensor", "Tensor", "TensorAttention"),
        ("class_var", "class_var", "class-var", "Class var", "ClassVarAttention"),
        ("none", "none", "none", "None", "NoneAttention"),
        ("value_error", "value_error", "value-error", "Value error", "ValueErrorAttention"),
        (
            "x" * LONGEST,
            "x" * LONGEST,
            "x" * LONGEST,
            "X" + "x" * (LONGEST - 1),
            "X" + "x" * (LONGEST - 1),
        ),
    ],
)
def test_spellings(asked, name, distribution, title, cls, monkeypatch):
    # other tests of this process leave modules of short names importable
    monkeypatch.setattr(module, "_is_installed", lambda name: False)
    found = check_name(asked, catalog())
    spellings = (found.module, found.distribution, found.title, found.cls)
    assert spellings == (name, distribution, title, cls)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("MyAttention", "for example my_attention"),
        ("My Attention", "for example my_attention"),
        ("2d_gate", "for example d_gate"),
        ("_gate", "for example gate"),
        ("gate_", "for example gate"),
        ("a__b", "for example a_b"),
        ("gâte", "for example g_te"),
        ("../gate", "for example gate"),
        ("", "lower case letters"),
        ("---", "lower case letters"),
        ("x" * (LONGEST + 1), f"{LONGEST + 1} characters. Use at most {LONGEST}."),
        ("lambda", "keyword of Python. Use another, for example my_lambda."),
        ("se", "module of attnbench"),
        ("mobilenet_v2", "backbone"),
        ("json", "Python"),
        ("conftest", "pytest"),
        ("test_gate", "pytest"),
        ("torch", "installed package"),
        ("attnbench", "installed package"),
        ("attnbench_suites", "installed package"),
        ("timm", "attnbench uses"),
        ("executorch", "attnbench uses"),
        ("pluggy", "installed package"),
    ],
)
def test_refused(asked, told):
    with pytest.raises(RequestError) as caught:
        check_name(asked, catalog())
    assert told in str(caught.value)
    assert repr(asked) in str(caught.value)


def test_a_plugin_has_the_name(monkeypatch):
    known = catalog()
    before = known.modules.entries()
    known.add_table({"of_a_plugin": "no:Where"}, "somebody (their:TABLE)")
    with pytest.raises(RequestError, match="of somebody"):
        check_name("of-a-plugin", known)
    known.modules.restore(before)


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "folder_to_fill").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert check_name("folder_to_fill", catalog()) == PackageNames("folder_to_fill")


def test_no_class_hides_what_the_templates_import():
    imported = set()
    for one in resources.files("attnbench.scaffold").joinpath("templates").iterdir():
        if one.name.endswith(".py.j2"):
            text = one.read_text().replace("{{ names.", "names_").replace(" }}", "")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom):
                    imported |= {alias.name for alias in node.names}
    assert {one for one in imported if one[0].isupper() and one != "MODULES"} == module._IMPORTED


class TestContent:
    @pytest.mark.parametrize("name", ["a", "new_gate", "x" * LONGEST, "ab_" * 8 + "abcd", "tensor"])
    def test_sources_are_tidy_whatever_the_name(self, name):
        for path, text in render(PackageNames(name)).items():
            assert "{{" not in text.replace("{{ github", "")
            assert text.endswith("\n") or not text
            assert not [line for line in text.splitlines() if line != line.rstrip()]
            if path.endswith(".py"):
                ast.parse(text)
                # formatters break lines after 88 characters
                assert max(map(len, text.splitlines())) <= 88, path

    def test_pyproject(self):
        found = tomllib.loads(render(NAMES)["pyproject.toml"])
        assert found["project"]["name"] == "new-gate"
        assert found["project"]["dependencies"] == ["attnbench"]
        own = tomllib.loads((ROOT / "pyproject.toml").read_text())
        assert found["project"]["requires-python"] == own["project"]["requires-python"]
        points = found["project"]["entry-points"]["attnbench.plugins"]
        assert points == {"new_gate": "new_gate:MODULES"}
        assert found["tool"]["attnbench"]["plugins"] == ["."]

    def test_the_table_is_the_cards_and_free_of_torch(self):
        content = render(NAMES)
        code = {}
        exec(content["src/new_gate/__init__.py"], code)
        exec(content["src/new_gate/module.py"], card := {})
        entry, card = code["MODULES"]["new_gate"], card["NewGate"].card
        assert (entry["title"], entry["family"]) == (card.title, card.family)
        assert card_problems(card) == []
        assert "import" not in content["src/new_gate/__init__.py"].partition('"""\n\n')[2]

    def test_commands_of_the_readme_name_the_module(self):
        readme = render(NAMES)["README.md"]
        assert "attnbench check new_gate" in readme
        assert "attnbench run ulsam-table1 --add new_gate" in readme

    @pytest.mark.parametrize("name", ["pyproject.toml", ".github/workflows/test.yml", ".gitignore"])
    def test_the_example_is_what_it_writes(self, name):
        """Where the example's author had nothing to change; CI checks the workflow's schema there."""
        expected = render(PackageNames("strip_gate"))[name]
        found = (EXAMPLE / name).read_text()
        if name == "pyproject.toml":
            found, expected = (
                "".join(line for line in one.splitlines(True) if not line.startswith("description"))
                for one in (found, expected)
            )
        assert found == expected


class TestWriting:
    def test_every_file(self, tmp_path):
        found = write_package(NAMES, tmp_path / "new_gate")
        assert [one for one in found if not one.is_file()] == []
        assert files_of(tmp_path) == {f"new_gate/{one.format(module='new_gate')}" for one in FILES}
        (tmp_path / "by_hand").mkdir()
        assert (tmp_path / "new_gate").stat().st_mode == (tmp_path / "by_hand").stat().st_mode

    def test_folders_above_and_an_empty_one(self, tmp_path, monkeypatch):
        write_package(NAMES, tmp_path / "a" / "b")
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        write_package(NAMES, Path())
        assert files_of(tmp_path / "empty") == files_of(tmp_path / "a" / "b")

    @pytest.mark.parametrize("there", ["notes.txt", ".git/config"])
    def test_a_folder_that_holds_something(self, tmp_path, there):
        (tmp_path / there).parent.mkdir(exist_ok=True)
        (tmp_path / there).write_text("mine")
        with pytest.raises(RequestError, match=rf"holds {there.split('/')[0]}\..*-o"):
            write_package(NAMES, tmp_path)
        assert files_of(tmp_path) == {there}

    def test_a_file_and_a_link_to_nowhere(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        for name in ("file", "link"):
            with pytest.raises(RequestError, match=rf"{name} is a file.* -o"):
                write_package(NAMES, tmp_path / name)

    def test_below_a_file(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(RequestError, match=r"file/inner .* -o"):
            write_package(NAMES, tmp_path / "file" / "inner")

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
        with pytest.raises(RequestError, match=r"No space left on device.* -o"):
            write_package(NAMES, folder)
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
            write_package(NAMES, tmp_path)
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new") / "new_gate"
    write_package(NAMES, folder)
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
