"""Schedules against their closed forms; who decays."""

import math
import warnings

import pytest
import torch
from torch import nn

from attnbench.training.optimizer import factor, optimizer_of, schedule_of


def rates(recipe, steps_per_epoch, epochs):
    """The learning rate of each step, as a training would take them."""
    model = nn.Linear(2, 2)
    optimizer = optimizer_of(model, recipe)
    schedule = schedule_of(optimizer, recipe, steps_per_epoch, epochs)
    found = []
    for _ in range(steps_per_epoch * epochs):
        model(torch.zeros(1, 2)).sum().backward()
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert all(len(set(one)) == 1 for one in found)
    return [one[0] for one in found]


def test_cosine(recipe):
    wanted = [0.05 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)]
    assert rates(recipe(), 4, 3) == pytest.approx(wanted)


def test_cosine_after_a_warm_up(recipe):
    schedule = {"name": "cosine", "warmup_epochs": 0.5}
    rising = [0.01, 0.01 + 0.99 / 2]
    falling = [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
    wanted = [0.05 * one for one in (*rising, *falling)]
    assert rates(recipe(schedule=schedule), 4, 3) == pytest.approx(wanted)


def test_exponential_falls_once_an_epoch(recipe):
    schedule = {"name": "exponential", "gamma": 0.98}
    wanted = [0.05 * 0.98 ** (step // 5) for step in range(20)]
    assert rates(recipe(schedule=schedule), 5, 4) == pytest.approx(wanted)


def test_step(recipe):
    schedule = {"name": "step", "gamma": 0.1, "step_epochs": 2, "warmup_epochs": 1}
    at = factor(recipe(schedule=schedule), 3, 18)
    warm = [0.01, 0.01 + 0.33, 0.01 + 0.66]
    assert [at(step) for step in range(3)] == pytest.approx(warm)
    assert [at(step) for step in range(3, 18)] == pytest.approx([1] * 6 + [0.1] * 6 + [0.01] * 3)


def test_constant(recipe):
    assert rates(recipe(schedule={"name": "constant"}), 2, 2) == [0.05] * 4


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 3), (10, 1), (7, 3)])
def test_onecycle_runs_all_its_steps_without_a_warning(recipe, steps, epochs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rates(recipe(schedule={"name": "onecycle"}), steps, epochs)
    assert len(found) == steps * epochs
    assert max(found) <= 0.05 + 1e-12


def test_onecycle_rises_and_falls_as_published(recipe):
    # a cosine from lr/25 to lr over 0.3 of the steps, then one down to lr/25/10^4
    found = rates(recipe(schedule={"name": "onecycle"}), 10, 3)
    top = 0.3 * 31 - 1
    for step, rate in enumerate(found):
        if step <= top:
            share, start, end = step / top, 0.05 / 25, 0.05
        else:
            share, start, end = (step - top) / (30 - top), 0.05, 0.05 / 25e4
        wanted = end + (start - end) / 2 * (1 + math.cos(math.pi * share))
        assert rate == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", "SGD"), ("adamw", "AdamW"), ("rmsprop", "RMSprop")]
)
def test_norms_and_biases_have_a_decay_of_their_own(recipe, name, kind):
    settings = {"name": name, "lr": 0.1, "weight_decay": 0.02, "norm_weight_decay": 0.003}
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    optimizer = optimizer_of(model, recipe(optimizer=settings))
    assert type(optimizer).__name__ == kind
    found = {
        id(one): group["weight_decay"]
        for group in optimizer.param_groups
        for one in group["params"]
    }
    wanted = {
        id(model[0].weight): 0.02,
        **{id(one): 0.003 for one in (model[0].bias, *model[1].parameters(), model[2].bias)},
    }
    assert found == wanted


def test_sgd_takes_momentum(recipe):
    chosen = {"lr": 0.1, "momentum": 0.8, "nesterov": True}
    group = optimizer_of(nn.Linear(2, 2), recipe(optimizer=chosen)).param_groups[0]
    assert (group["momentum"], group["nesterov"], group["dampening"]) == (0.8, True, 0)
