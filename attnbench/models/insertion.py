"""Insertion of modules into a network: the result is a new network with the same weights."""

import copy
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn

from attnbench.errors import RequestError
from attnbench.models.block_layers import Inserted
from attnbench.models.placement_slots import Slot, check_slots, find_placement, find_slots
from attnbench.models.sites import SiteSurvey
from attnbench.registry.attention import Attention, find_attention, from_callable
from attnbench.registry.specs import Spec, parse_spec

__all__ = ["Inserted", "as_attention", "fill", "insert"]


def insert(
    model: nn.Module,
    placement: str,
    module: str | Spec | Attention | Callable[..., nn.Module],
    /,
    *,
    input_size: Sequence[int] = (1, 3, 224, 224),
    **options: Any,
) -> nn.Module:
    """Return a copy of ``model`` with ``module`` placed in it; ``model`` is not changed.

    The copy keeps weights, mode, dtype, device and memory format.

    Args:
        model: any classifier.
        placement: ``replace:14,17``, ``after:8-12``, ``official``, ``after:layer3.*`` ...
        module: a registered name or spec, or a callable ``channels -> nn.Module``.
        input_size: input shape for which the feature sizes are computed.
        options: options of the module.

    Raises:
        PlacementError: the placement is impossible; no module was built.
        RequestError: the module does not accept these options or this number of channels.
    """
    if not isinstance(model, nn.Module) or not isinstance(placement, str):
        raise RequestError(
            f"insert takes a nn.Module and a placement like 'after:11', not a "
            f"{type(model).__name__} and {placement!r}"
        )
    attention = as_attention(module, options)
    survey = SiteSurvey(model, input_size)
    slots = find_slots(find_placement(placement, attention, survey), survey)
    check_slots(attention, slots)
    return fill(model, slots, attention)


def as_attention(
    module: str | Spec | Attention | Callable[..., nn.Module], options: dict[str, Any]
) -> Attention:
    """Return a module argument, with additional options, as an :class:`Attention`."""
    if isinstance(module, Attention):
        return module.with_options(**options)
    if isinstance(module, str | Spec):
        spec = parse_spec(module, "module") if isinstance(module, str) else module
        return find_attention(spec.with_options(**options))
    return from_callable(module, options)


def fill(model: nn.Module, slots: Iterable[Slot], attention: Attention) -> nn.Module:
    """Return a copy of ``model`` with a fresh module in every slot."""
    placed = copy.deepcopy(model)
    # deepest first: wrapping a block would change the paths of the modules inside it
    for slot in sorted(slots, key=lambda slot: slot.path.count("."), reverse=True):
        block = placed.get_submodule(slot.path)
        built = _build(attention, slot)
        _match(built, block, placed)
        kept = nn.Identity().train(block.training) if slot.replaced else block
        inserted = Inserted(kept, built.train(block.training))
        inserted.training = block.training  # not .train(): frozen parts of the block stay frozen
        placed.set_submodule(slot.path, inserted)
    return placed


def _build(attention: Attention, slot: Slot) -> nn.Module:
    """Return a new module for a slot."""
    try:
        return attention.build(slot.channels, slot.size)
    except RequestError as error:
        raise type(error)(f"{slot}: {error}") from error


def _match(built: nn.Module, block: nn.Module, model: nn.Module) -> None:
    """Convert a new module to the dtype, device and memory format of its surroundings."""
    parameters = chain(block.parameters(), model.parameters())
    like = next((found for found in parameters if found.is_floating_point()), None)
    if like is None:
        return
    built.to(device=like.device, dtype=like.dtype)
    if _is_channels_last(model):
        built.to(memory_format=torch.channels_last)


def _is_channels_last(model: nn.Module) -> bool:
    """Return whether the model is channels-last, by a kernel above 1x1 (1x1 is ambiguous)."""
    for parameter in model.parameters():
        if parameter.dim() == 4 and min(parameter.shape[1], parameter.shape[2]) > 1:
            return (
                parameter.is_contiguous(memory_format=torch.channels_last)
                and not parameter.is_contiguous()
            )
    return False
