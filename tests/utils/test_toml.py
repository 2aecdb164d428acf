"""TOML that the parser would take all of the memory for is refused before it."""

import pytest

from attnbench.errors import AttnbenchError
from attnbench.pytest_plugin.suite_options import is_suite
from attnbench.registry.plugin_files import read_folder
from attnbench.registry.settings import settings
from attnbench.suites.load import read_suite
from attnbench.training.recipe import find_recipe
from attnbench.utils.toml import parse_toml

DEEP = [".".join(["a"] * 50_000), ".".join(['"a.b"'] * 51), " . ".join(["'a'", "b-1"] * 26)]


@pytest.mark.parametrize("key", DEEP, ids=["bare", "quoted", "mixed"])
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "[[{}]]", "x = {{ {} = 1 }}", "[[[{}"])
def test_a_key_of_too_many_parts(key, form):
    with pytest.raises(
        ValueError, match=r"key has more than 50 dotted parts: got 5.* \(at line 2\)"
    ):
        parse_toml("\n" + form.format(key))


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "{a = " * 20_000])
def test_values_nested_too_deeply(text):
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 50) + " = 1",
        "# " + "x" * 1_000_000 + "." * 1_000_000,
        "# " + '"' * 100_001 + "." * 100,
        'x = "' + "No way. " * 100 + '"',
        'x = """\n' + "3.14, 2.72; " * 1000 + '\n"""',
        "x = [" + "0.5, " * 1000 + "]",
    ],
)
def test_what_only_has_many_dots_is_read(text):
    parse_toml(text)


READERS = {
    "suite": lambda folder: read_suite(folder / "pyproject.toml"),
    "recipe": lambda folder: find_recipe(str(folder / "pyproject.toml")),
    "settings": settings,
    "folder": read_folder,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", [DEEP[0] + " = 1", "x = " + "[" * 5000], ids=["key", "values"])
def test_each_reader_refuses_it_in_a_line(tmp_path, reader, text):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(
        AttnbenchError, match=r"pyproject\.toml .*(dotted parts: got|nested)"
    ) as error:
        READERS[reader](tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    assert not is_suite(tmp_path / "pyproject.toml")
