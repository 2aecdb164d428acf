"""A tiny recipe on computed pictures: a training takes a fraction of a second."""

import pytest

DATA = "synthetic,classes=4,count=128"
RECIPE = """\
name = "tiny"
title = "a few steps"
source = "the tests"
size = 16
epochs = 2
batch_size = 32
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[optimizer]
name = "sgd"
lr = 0.05

[schedule]
name = "onecycle"

[stem]
strides = [1, 2, 2, 1, 1]

[[augment]]
name = "RandomHorizontalFlip"
"""


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """The path of the recipe's file."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return str(path)
