"""Checkpoint files with a state dict, in the wrappings that training scripts use."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from attnbench.errors import MissingExtraError, RequestError
from attnbench.utils.text import describe

if TYPE_CHECKING:
    from torch import Tensor

WRAPPINGS = (
    "state_dict",
    "model",
    "model_state",
    "model_state_dict",
    "model_ema",
    "state_dict_ema",
)
"""Keys under which a checkpoint keeps the network; the first one present is used."""
PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that ``DataParallel`` and ``torch.compile`` put before every key."""
_COUNTER = "n_averaged"
"""Key of the counter that ``torch.optim.swa_utils.AveragedModel`` stores with the network."""


def read_state(path: Path, wanted: Collection[str]) -> Mapping[str, Tensor]:
    """Return the state dict in a file, on the CPU, with the keys of an unwrapped network.

    Args:
        path: a file of ``torch.save``, with the state dict itself or under one of
            :data:`WRAPPINGS`, or a ``.safetensors`` file. No code in it is run.
        wanted: the keys of the network; a prefix that they have as well is kept.

    Raises:
        RequestError: the file cannot be read, or does not hold a state dict.
        MissingExtraError: the package safetensors is needed and not installed.
    """
    state = _read(path, _safetensors if path.suffix == ".safetensors" else _pickled)
    if isinstance(state, Mapping):
        wrapped = (state[key] for key in WRAPPINGS if isinstance(state.get(key), Mapping))
        state = next(wrapped, state)
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise RequestError(f"weights {path} hold a {type(state).__name__}, not a state dict")
    return _bare(state, wanted)


def _read(path: Path, load: Callable[[Path], Any]) -> Any:
    try:
        return load(path)
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except RequestError:
        raise
    except UnpicklingError as error:  # torch's message advises to run the code in the file
        raise RequestError(
            f"weights {path} are no state dict: save torch.save(model.state_dict(), FILE), not the "
            "whole model"
        ) from error
    except Exception as error:
        raise RequestError(
            f"weights {path} are no state dict (torch.save(model.state_dict(), FILE)): "
            f"{describe(error)}"
        ) from error


def _pickled(path: Path) -> Any:
    # training scripts save their parsed arguments beside the weights
    with torch.serialization.safe_globals([Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError(
            f"weights {path} need the package safetensors: pip install safetensors"
        ) from error
    return load_file(path)


def _bare(state: Mapping[str, Tensor], wanted: Collection[str]) -> Mapping[str, Tensor]:
    """Return a state dict without the prefixes that wrappers put before every key."""
    for prefix in PREFIXES * 2:  # each wrapper may contain the other
        own = {key: value for key, value in state.items() if key != _COUNTER or key in wanted}
        foreign = not any(key.startswith(prefix) for key in wanted)
        if foreign and own and all(key.startswith(prefix) for key in own):
            state = {key.removeprefix(prefix): value for key, value in own.items()}
    return state
