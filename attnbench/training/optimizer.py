"""Optimizers and schedules of the learning rate, from torch."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from attnbench.training.recipe import Recipe

_COLDEST = 0.01
"""Of the learning rate, where a warm-up starts."""


def optimizer_of(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return a recipe's optimizer; one-dimensional parameters have a weight decay of their own."""
    chosen = recipe.optimizer
    trained = [one for one in model.parameters() if one.requires_grad]
    groups = [
        {
            "params": [one for one in trained if one.ndim > 1],
            "weight_decay": chosen.weight_decay,
        },
        {
            "params": [one for one in trained if one.ndim <= 1],
            "weight_decay": chosen.norm_weight_decay,
        },
    ]
    if chosen.name == "adamw":
        return AdamW(groups, lr=chosen.lr)
    if chosen.name == "rmsprop":
        return RMSprop(groups, lr=chosen.lr, momentum=chosen.momentum, alpha=0.9, eps=0.0316)
    return SGD(groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.nesterov)


def schedule_of(
    optimizer: Optimizer, recipe: Recipe, steps_per_epoch: int, epochs: int
) -> LRScheduler:
    """Return the schedule, to be moved on after each step of the optimizer."""
    total = steps_per_epoch * epochs
    if recipe.schedule.name == "onecycle":
        # one step more: torch refuses to be moved on past the last
        return OneCycleLR(optimizer, max_lr=recipe.optimizer.lr, total_steps=total + 1)
    return LambdaLR(optimizer, factor(recipe, steps_per_epoch, total))


def factor(recipe: Recipe, steps_per_epoch: int, total: int) -> Callable[[int], float]:
    """Return the share of the learning rate that each step takes, from 0."""
    schedule = recipe.schedule
    warm = round(schedule.warmup_epochs * steps_per_epoch)

    def at(step: int) -> float:
        if step < warm:
            return _COLDEST + (1 - _COLDEST) * step / warm
        epochs = (step - warm) / steps_per_epoch
        match schedule.name:
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
            case "exponential":
                return float(schedule.gamma ** math.floor(epochs))
            case "step":
                return float(schedule.gamma ** (math.floor(epochs) // schedule.step_epochs))
            case _:
                return 1.0

    return at
