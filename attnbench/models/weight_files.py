"""State dicts in files as people save them: wrapped in other mappings, with a common prefix."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from attnbench.errors import MissingExtraError, RequestError
from attnbench.utils.text import describe

IGNORED = {"total_ops", "total_params", "n_averaged"}
"""Last parts of keys that are no weights: counters of thop and of averaged models."""
_AVERAGED = ("ema", "averag", "swa", "teacher", "momentum", "shadow")
"""Parts of the keys of averaged weights, which stand back behind the trained ones."""
_DEPTH = 5
_SHOWN = 3
_SAVE = "Save one with torch.save(model.state_dict(), FILE)"


@dataclass(frozen=True)
class StateDict:
    """The tensors of a file that are below one key and have one prefix, without them."""

    tensors: Mapping[str, Tensor]
    place: str = ""
    """Keys of the mappings around them, and their prefix: ``state_dict: backbone.``."""
    outside: tuple[str, ...] = ()
    """Keys of the mapping without the prefix."""
    fits: int = 0
    """Number of tensors with a name and a shape of the network."""
    also: tuple[str, ...] = ()
    """Places of others in the file that fit as well."""

    @property
    def averaged(self) -> bool:
        """Whether the place says that the weights are averages over the training."""
        return any(part in self.place.lower() for part in _AVERAGED)

    @property
    def choice(self) -> str:
        """The place and those that fit as well, ``from model, not ema``; empty without any."""
        others = ", ".join(place or "the file itself" for place in self.also)
        return f"from {self.place or 'the file itself'}, not {others}" if others else ""

    def __str__(self) -> str:
        """Return place, number and first keys of the tensors, for an error."""
        keys = [*self.tensors, *self.outside]
        more = ", ..." if len(keys) > _SHOWN else ""
        return f"{self.place or 'it'} has {len(keys)} tensors ({', '.join(keys[:_SHOWN])}{more})"


class _Inert(dict[Any, Any]):
    """The substitute of any object in a pickle but tensors and plain values: no code is run."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Ignore the state of the object."""


def weights_file(given: str | Path) -> tuple[Path, str]:
    """Return the path of a file of weights and the key in it, ``FILE`` or ``FILE:KEY``."""
    path, _, key = str(given).rpartition(":")
    return (Path(path), key) if path and not Path(given).exists() else (Path(given), "")


def read_state(given: Path, known: Mapping[str, torch.Size]) -> StateDict:
    """Return the state dict in a file that fits a network best, on the CPU.

    Looked through are all mappings in the file, in each of them the tensors that have one prefix
    in common. Of several that fit as well, the trained weights go before averages of them, then
    the first one.

    Args:
        given: a file of ``torch.save`` or a ``.safetensors`` file, whose code is not run;
            ``FILE:KEY`` chooses what is below a key or has a prefix.
        known: the shapes of the network's tensors, under all names that they may have.

    Raises:
        RequestError: the file cannot be read, or does not hold a state dict.
        MissingExtraError: the package safetensors is needed and not installed.
    """
    path, key = weights_file(given)
    content = _read(path)
    found = [state for part in _mappings(content) for state in _states(*part, known)]
    if key:
        found = [state for state in found if key in state.place.replace(":", ".").split(".")]
    if not found:
        what = f"nothing with tensors under {key!r}" if key else _named(content)
        raise RequestError(f"weights {path} are not a state dict: got {what}. {_SAVE}")
    most = max(state.fits for state in found)
    best = sorted(
        (state for state in found if state.fits == most), key=lambda state: state.averaged
    )
    also = tuple(state.place for state in best[1:]) if most else ()
    return replace(best[0], also=also)


def _mappings(content: Any) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Yield the place and the tensors of each mapping in a file, the outer ones first."""
    level = [("", content)]
    for _ in range(_DEPTH):
        parts = [(place, part) for place, part in level if isinstance(part, Mapping)]
        for place, part in parts:
            tensors = {key: value for key, value in part.items() if torch.is_tensor(value)}
            named = {key: value for key, value in tensors.items() if isinstance(key, str)}
            if named:
                yield place, named
        level = [
            (f"{place}.{key}".lstrip("."), value)
            for place, part in parts
            for key, value in part.items()
            if isinstance(key, str)
        ]


def _states(
    place: str, tensors: Mapping[str, Tensor], known: Mapping[str, torch.Size]
) -> Iterator[StateDict]:
    """Yield the tensors of a mapping by each prefix with which any has a name of the network."""
    names: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    for key, value in tensors.items():
        starts = [0, *(at + 1 for at, sign in enumerate(key) if sign == ".")]
        for start in (at for at in starts if key[at:] in known):
            names[key[:start]] += 1
            shapes[key[:start]] += value.shape == known[key[start:]]
    for prefix in sorted(names, key=lambda one: (-shapes[one], -names[one], len(one))) or [""]:
        outside = [key for key in tensors if not key.startswith(prefix)]
        yield StateDict(
            {key.removeprefix(prefix): tensors[key] for key in tensors if key.startswith(prefix)},
            ": ".join(part for part in (place, prefix) if part),
            tuple(key for key in outside if key.rpartition(".")[2] not in IGNORED),
            shapes[prefix],
        )


def _named(content: Any) -> str:
    """Return what a file without tensors holds."""
    if type(content) is _Inert:
        return "a whole model"
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    keys = [
        f"{key} (an object)" if type(value) is _Inert else str(key)
        for key, value in content.items()
    ]
    more = f", ... ({len(keys)} in all)" if len(keys) > _SHOWN else ""
    return f"no tensors in {', '.join(keys[:_SHOWN]) or 'an empty mapping'}{more}"


def _read(path: Path) -> Any:
    try:
        return _safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except RequestError:
        raise
    except Exception as error:
        problem = "a pickle of code" if isinstance(error, UnpicklingError) else describe(error)
        raise RequestError(
            f"weights {path} are not a state dict: {problem.partition('. ')[0]}. {_SAVE}"
        ) from error


def _unpickled(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript archives, which are refused
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError:
            # training scripts save arguments, metrics and loaders beside the weights
            others = get_unsafe_globals_in_checkpoint(path)
            with safe_globals([(_Inert, name) for name in others]):
                return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError(
            f"weights {path} need the package safetensors. Install it: pip install safetensors"
        ) from error
    return load_file(path)
