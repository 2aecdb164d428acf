"""An installation without any extra: all that needs none works."""

import json
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
IMPORTED = {"nvidia-ml-py": "pynvml"}
"""Distributions whose package is not called like them."""


def packages():
    extras = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    names = [line.split(">")[0] for name in set(extras) - {"all"} for line in extras[name]]
    return [IMPORTED.get(name, name) for name in names]


@pytest.fixture
def without_extras(tmp_path, monkeypatch):
    """Have every extra's package fail to import, as if it were not there."""
    for name in packages():
        text = f"raise ModuleNotFoundError({f'No module named {name!r}'!r}, name={name!r})\n"
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        ("cost", "-m", "se", "--channels", "16", "--size", "7", "--json"),
        ("list", "modules", "--json"),
    ],
    ids=lambda words: words[0],
)
def test_a_command_needs_no_extra(words, without_extras, fork_server, tmp_path):
    with (
        (tmp_path / "errors").open("w+b") as errors,
        fork_server.attnbench(*words, stderr=errors, cwd=tmp_path) as process,
    ):
        text = process.stdout.read()
        status = process.wait()
        errors.seek(0)
        assert (status, errors.read()) == (0, b"")
    assert json.loads(text)
