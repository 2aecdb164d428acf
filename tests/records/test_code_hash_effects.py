"""Changes that names alone do not show: side effects, computed names, factories, namespaces.

Each package is written twice, with the constant 2.0 and with 3.0, and its module really returns
twice and three times its input: the hashes must differ, too.
"""

import importlib
import sys

import pytest
import torch

from attnbench.records.code_hash import hash_code

GATE = """
import torch
from torch import nn
{imports}

class Gate(nn.Module):
    def __init__(self, channels, k={default}):
        super().__init__()
        self.k = k

    def forward(self, x):
        return x * {factor}
"""
TABLE = "T = {}\ndef reg(name, value):\n    T[name] = value\n    return value\n"
SCALED = "from eff_pkg.helpers import scale"
SCALE = "def scale():\n    return 2.0\n"
DYNAMIC = "import importlib\n{}\ndef scale():\n    return importlib.import_module({}).scale()\n"


def gate(imports=SCALED, factor="scale()", default=1.0):
    return GATE.format(imports=imports, factor=factor, default=default)


def package(helpers, **more):
    return {"__init__": "", "gate": gate(), "helpers": helpers, **more}


def made(text):
    """Return a package whose table names what ``text`` makes of the class in another file."""
    return {"__init__": "", "gate": gate("", "self.k"), "table": text}


PACKAGES = {
    "registered by an assigned call": (
        package(f"{TABLE}a = reg('a', lambda: 2.0)\ndef scale():\n    return T['a']()\n"), "gate:Gate"
    ),
    "changed by an assigned call of a method": (
        package("T = {}\n_ = 1\n_done = T.update(a=2.0)\ndef scale():\n    return T['a']\n"), "gate:Gate"
    ),
    "global set by an assigned call": (
        package("k = 1.0\ndef init():\n    global k\n    k = 2.0\n_d = init()\ndef scale():\n    return k\n"),
        "gate:Gate",
    ),
    "registered by an imported function": (
        package("from .table import T, reg\na = reg('a', 2.0)\ndef scale():\n    return T['a']\n", table=TABLE),
        "gate:Gate",
    ),
    "registered in a class body": (
        package(f"{TABLE}class Ops:\n    a = reg('a', 2.0)\ndef scale():\n    return T['a']\n"), "gate:Gate"
    ),
    "registered by a decorator in a class body": (
        package(
            "T = []\ndef reg(f):\n    T.append(f)\n    return f\nclass Ops:\n    @reg\n    def a():\n        return 2.0\n"
            "def scale():\n    return T[0]()\n"
        ),
        "gate:Gate",
    ),
    "registered by a metaclass of a computed base": (
        package(
            "T = []\nclass Meta(type(object)):\n    def __init__(cls, *a):\n        super().__init__(*a)\n        T.append(cls)\n"
            "class A(metaclass=Meta):\n    k = 2.0\ndef scale():\n    return T[0].k\n"
        ),
        "gate:Gate",
    ),
    "found among the loaded modules": (
        {
            "__init__": "",
            "gate": gate("import sys, eff_pkg.helpers", "sys.modules['eff_pkg.helpers'].scale()"),
            "helpers": SCALE,
        },
        "gate:Gate",
    ),
    "bound in a comprehension": (
        package("_all = [(k := v) for v in (2.0,)]\ndef scale():\n    return k\n"), "gate:Gate"
    ),
    "bound twice, in another order": (
        package("k = 2.0\ndef scale(v=k):\n    return v\nk = 3.0\n"),
        "gate:Gate",
        package("k = 2.0\nk = 3.0\ndef scale(v=k):\n    return v\n"),
    ),
    "named in a nested annotation": (
        package(
            "from typing import get_type_hints\nclass K:\n    k = 2.0\ndef f(a: list['K']): ...\n"
            "def scale():\n    return get_type_hints(f)['a'].__args__[0].k\n"
        ),
        "gate:Gate",
    ),
    "imported by a keyword": (
        package(DYNAMIC.format("", "name='eff_pkg.late'"), late=SCALE), "gate:Gate"
    ),
    "imported by a constant of its own": (
        package(DYNAMIC.format("NAME = 'eff_pkg.late'", "NAME"), late=SCALE), "gate:Gate"
    ),
    "imported by a computed name": (
        package(DYNAMIC.format("", "f'{__package__}.late'"), late=SCALE), "gate:Gate"
    ),
    "set in the package": (
        {"__init__": "from .gate import Gate\nGate.k = 2.0\n", "gate": gate("", "Gate.k")}, "gate:Gate"
    ),
    "patched by what the package imports": (
        package("", __init__="from . import patch\n", patch="import torch\ntorch.eff_k = 2.0\n")
        | {"gate": gate("", "torch.eff_k")},
        "gate:Gate",
    ),
    "argument of a partial": (
        made("from functools import partial\nfrom .gate import Gate\nmine = partial(Gate, k=2.0)\n"), "table:mine"
    ),
    "argument of a class factory": (
        {
            "__init__": "",
            "gate": "from torch import nn\ndef make(k):\n    class Gate(nn.Module):\n        def __init__(self, channels):\n"
            "            super().__init__()\n        def forward(self, x):\n            return x * k\n    return Gate\n",
            "table": "from .gate import make\nmine = make(2.0)\n",
        },
        "table:mine",
    ),
    "attribute of a callable object": (
        made("from .maker import Maker\nmine = Maker({'k': [2.0]})\n")
        | {
            "maker": "from .gate import Gate\nclass Maker:\n    def __init__(self, options):\n        self.options = options\n"
            "    def __call__(self, channels):\n        return Gate(channels, self.options['k'][0])\n"
        },
        "table:mine",
    ),
    "attribute of a bound method's object": (
        made("from .maker import Maker\nmine = Maker(2.0).make\n")
        | {
            "maker": "from .gate import Gate\nclass Maker:\n    def __init__(self, k):\n        self.k = k\n"
            "    def make(self, channels):\n        return Gate(channels, self.k)\n"
        },
        "table:mine",
    ),
    "in a folder that is no package": ({"gate": gate(), "helpers": SCALE}, "gate:Gate"),
}  # fmt: skip


@pytest.fixture
def hash_and_factor(tmp_path, monkeypatch):
    """Return a function that writes a package, and returns its hash and the factor it really has."""

    def measure(number, files, target):
        root = tmp_path / str(number)
        (root / "eff_pkg").mkdir(parents=True)
        for name, text in files.items():
            (root / "eff_pkg" / f"{name}.py").write_text(text)
        for name in [name for name in sys.modules if name.partition(".")[0] == "eff_pkg"]:
            monkeypatch.delitem(sys.modules, name)
        with monkeypatch.context() as patched:
            patched.syspath_prepend(root)
            module, _, attribute = target.partition(":")
            factory = getattr(importlib.import_module(f"eff_pkg.{module}"), attribute)
            factor = factory(4)(torch.ones(1, 4, 2, 2)).unique().item()
            found = hash_code(factory)
        for name in [name for name in sys.modules if name.partition(".")[0] == "eff_pkg"]:
            del sys.modules[name]
        return found, factor

    yield measure
    if hasattr(torch, "eff_k"):
        del torch.eff_k


@pytest.mark.parametrize("name", PACKAGES)
def test_what_changes_the_output_changes_the_hash(hash_and_factor, name):
    files, target, *other = PACKAGES[name]
    changed = (
        other[0] if other else {key: text.replace("2.0", "3.0") for key, text in files.items()}
    )
    first = hash_and_factor(1, files, target)
    again = hash_and_factor(2, files, target)
    second = hash_and_factor(3, changed, target)
    assert first == again
    assert (first[1], second[1]) == (2.0, 3.0)
    assert first[0] != second[0]


def test_a_demonstration_at_the_end_does_not_count(hash_and_factor):
    files = package(SCALE)
    shown = files | {"gate": files["gate"] + "\nif __name__ == '__main__':\n    print(Gate(4))\n"}
    assert hash_and_factor(1, files, "gate:Gate") == hash_and_factor(2, shown, "gate:Gate")


def test_calls_that_set_nothing_are_no_effects(hash_and_factor):
    helpers = (
        "def twice(k):\n    found = []\n    found.append(k)\n    return found\nused = twice(1.0)\n"
        + SCALE
    )
    other = helpers + "unused = twice(4.0)\n"
    assert hash_and_factor(1, package(helpers), "gate:Gate") == hash_and_factor(
        2, package(other), "gate:Gate"
    )
