"""A user's weights, put into a network with or without inserted modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnbench.errors import RequestError
from attnbench.placement.inserted import Inserted
from attnbench.registry import describe

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 3


def load_weights(model: nn.Module, path: Path) -> str:
    """Load a state dict, in place, and say what was loaded.

    Every key must fit. Keys of the plain backbone fit as well: inserted modules then keep the
    weights that they have, and weights of replaced blocks are dropped.

    Args:
        model: the network, as placed.
        path: what ``torch.save(model.state_dict(), path)`` wrote.

    Returns:
        One line: the file, and what it does not cover.

    Raises:
        RequestError: it is no state dict, or not of this network.
    """
    given = _read(path)
    wanted = model.state_dict()
    note = path.name
    inserted = {name: one for name, one in model.named_modules() if isinstance(one, Inserted)}
    own = {key for key in wanted if any(key.startswith(f"{at}.attention.") for at in inserted)}
    dropped: tuple[str, ...] = ()
    if given.keys() != wanted.keys() and not own & given.keys():  # the plain backbone's
        given = {_placed(key, inserted): value for key, value in given.items()}
        dropped = tuple(f"{at}.block." for at, one in inserted.items() if _is_replaced(one))
        if own:
            note += f"; {len(own)} tensors of inserted modules are not in it and stay random"
    else:
        own = set()
    missing = wanted.keys() - given.keys() - own
    unexpected = {key for key in given.keys() - wanted.keys() if not key.startswith(dropped)}
    if missing or unexpected:
        raise RequestError(f"weights {path} are not of this network: {_named(missing, unexpected)}")
    _load(model, {key: given[key] for key in wanted if key in given}, path)
    return note


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        read: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror}") from error
    except Exception as error:
        raise RequestError(
            f"weights {path} are no state dict (torch.save(model.state_dict(), FILE)): "
            f"{describe(error)}"
        ) from error
    if isinstance(read, Mapping) and isinstance(read.get("state_dict"), Mapping):
        read = read["state_dict"]
    if not isinstance(read, Mapping) or not all(torch.is_tensor(one) for one in read.values()):
        raise RequestError(f"weights {path} hold a {type(read).__name__}, not a state dict")
    return read


def _placed(key: str, inserted: Iterable[str]) -> str:
    """Return the key that a weight of the plain network has in the placed one."""
    for path in inserted:  # outer ones come before those within them
        if key.startswith(f"{path}."):
            key = f"{path}.block.{key.removeprefix(f'{path}.')}"
    return key


def _is_replaced(inserted: Inserted) -> bool:
    return isinstance(inserted.block, nn.Identity)


def _named(missing: Iterable[str], unexpected: Iterable[str]) -> str:
    parts = []
    for what, keys in (("lacking", sorted(missing)), ("unknown", sorted(unexpected))):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            parts.append(f"{what} {', '.join(keys[:_SHOWN])}{more}")
    return "; ".join(parts)


def _load(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RequestError(f"weights {path} are not of this network: {lines[-1]}") from error
