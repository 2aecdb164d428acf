"""Optimizers and schedules of the learning rate, from torch."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from attnbench.training.recipe import Recipe

_COLDEST = 0.01
"""Share of the learning rate at the start of a warm-up."""


def optimizer_of(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return a recipe's optimizer; one-dimensional parameters have a separate weight decay."""
    chosen = recipe.optimizer
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": chosen.weight_decay},
        {"params": vectors, "weight_decay": chosen.norm_weight_decay},
    ]
    if chosen.name == "adamw":
        return AdamW(groups, lr=chosen.lr)
    if chosen.name == "rmsprop":
        return RMSprop(groups, lr=chosen.lr, momentum=chosen.momentum, alpha=0.9, eps=0.0316)
    return SGD(groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.nesterov)


def schedule_of(
    optimizer: Optimizer, recipe: Recipe, steps_per_epoch: int, epochs: int
) -> LRScheduler:
    """Return the learning rate schedule, to be advanced after each optimizer step."""
    total = steps_per_epoch * epochs
    if recipe.schedule.name == "onecycle":
        # one step more: torch refuses to advance beyond the last
        return OneCycleLR(optimizer, max_lr=recipe.optimizer.lr, total_steps=total + 1)
    return LambdaLR(optimizer, factor(recipe, steps_per_epoch, total))


def factor(recipe: Recipe, steps_per_epoch: int, total: int) -> Callable[[int], float]:
    """Return a function from the step, starting at 0, to its share of the learning rate."""
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
