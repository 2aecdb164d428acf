"""Every module against its plain form in benchmarks/: what is timed there gives the same."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from attnbench.runtimes.sample_inputs import randomize_weights

from .table import NAMES, create

FOLDER = Path(__file__).parents[2] / "benchmarks" / "plain_forms"


@pytest.fixture(scope="module")
def forms():
    name = "loaded_plain_forms"
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package  # its files import each other by it
    spec.loader.exec_module(package)
    yield package
    for loaded in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[loaded]


def test_every_module_has_one(forms):
    assert sorted([*forms.FORMS, "identity"]) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "identity"])
def test_it_gives_what_the_module_gives(forms, name):
    module = randomize_weights(create(name, channels=32, size=(7, 9)).double()).eval()
    x = torch.randn(2, 32, 7, 9, dtype=torch.double)
    with torch.no_grad():
        expected = module(x)
        module.forward = None  # the plain form computes by itself
        actual = forms.plain_form(name, module)(x)
    assert not torch.allclose(expected, x)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-10)
