"""A recipe on computed images whose training takes a fraction of a second."""

RECIPE = """\
name = "tiny"
title = "a few steps"
source = "the tests"
size = 16
epochs = {epochs}
batch_size = 32
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[optimizer]
lr = {lr}
"""
STEM = "\n[stem]\nstrides = [1, 2, 2, 1, 1]\n"
SCHEDULE = '\n[schedule]\nname = "{}"\n'
FLIP = '\n[[augment]]\nname = "RandomHorizontalFlip"\n'


def tiny_recipe(*, epochs=2, lr=0.05, schedule=None, stem=False, flip=False):
    """Return the recipe's file."""
    parts = [RECIPE.format(epochs=epochs, lr=lr)]
    parts += [SCHEDULE.format(schedule)] if schedule else []
    return "".join([*parts, *[STEM] * stem, *[FLIP] * flip])
