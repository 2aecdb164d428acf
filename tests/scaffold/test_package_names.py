import ast
from importlib import resources

import pytest

from attnbench.errors import RequestError
from attnbench.registry.plugins import catalog
from attnbench.scaffold import package_names as module
from attnbench.scaffold.package_names import LONGEST, PackageNames, checked_name


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
    found = checked_name(asked, catalog())
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
        ("", "write lower case letters"),
        ("---", "write lower case letters"),
        ("x" * (LONGEST + 1), f"has {LONGEST + 1} characters; {LONGEST} are the most"),
        ("lambda", "a word of Python's own; take another, for example my_lambda"),
        ("se", "taken by a registered module, of attnbench"),
        ("mobilenet_v2", "is a backbone's"),
        ("json", "taken by Python"),
        ("conftest", "taken by Python, pytest"),
        ("test_gate", "taken by Python, pytest"),
        ("torch", "that of an installed package"),
        ("attnbench", "that of an installed package"),
        ("attnbench_suites", "that of an installed package"),
        ("timm", "or of one that attnbench uses"),
        ("executorch", "or of one that attnbench uses"),
        ("pluggy", "that of an installed package"),
    ],
)
def test_refused(asked, told):
    with pytest.raises(RequestError) as caught:
        checked_name(asked, catalog())
    assert told in str(caught.value)
    assert repr(asked) in str(caught.value)


def test_a_plugin_has_the_name(monkeypatch):
    known = catalog()
    before = known.modules.entries()
    known.add_table({"of_a_plugin": "no:Where"}, "somebody (their:TABLE)")
    with pytest.raises(RequestError, match="registered module, of somebody"):
        checked_name("of-a-plugin", known)
    known.modules.restore(before)


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "folder_to_fill").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert checked_name("folder_to_fill", catalog()) == PackageNames("folder_to_fill")


def test_no_class_hides_what_the_templates_import():
    imported = set()
    for one in resources.files("attnbench.scaffold").joinpath("templates").iterdir():
        if one.name.endswith(".py.j2"):
            text = one.read_text().replace("{{ names.", "names_").replace(" }}", "")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom):
                    imported |= {alias.name for alias in node.names}
    assert {one for one in imported if one[0].isupper() and one != "MODULES"} == module._IMPORTED
