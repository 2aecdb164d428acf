"""A tiny recipe on computed pictures: a training takes a fraction of a second."""

import pytest

from ..tiny_recipe import tiny_recipe

DATA = "synthetic,classes=4,count=128"


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """The path of the recipe's file."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(tiny_recipe(schedule="onecycle", stem=True, flip=True))
    return str(path)
