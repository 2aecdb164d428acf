"""Transfer of a user's weights into a network with or without inserted modules."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnbench.errors import MissingExtraError, RequestError
from attnbench.models.block_layers import Inserted
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
_SHOWN = 3
_COUNT = ".num_batches_tracked"
"""Counter of a batch norm: old files lack it, and only a norm without momentum reads it."""
_HEADS = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Transfer:
    """The result of transferring a file of weights into a network."""

    kept: int
    """Number of tensors of the network that come from the file."""
    total: int
    """Number of tensors of the network."""
    fresh: tuple[str, ...]
    """Tensors of the network that stay as initialized: of inserted modules, of the classifier."""
    dropped: tuple[str, ...]
    """Tensors of the file without a counterpart: of replaced blocks, of the old classifier."""
    head: str | None = None
    """Path of the classifier, where it stays as initialized."""
    classes: tuple[int, int] | None = None
    """Numbers of classes of that classifier, in the file and here; None where the file has none."""

    def __str__(self) -> str:
        """Return one line: the tensors kept, left as initialized and dropped, with their origin."""
        parts = [f"{self.kept} of {self.total} tensors kept"]
        parts += [f"fresh: {', '.join(fresh)}"] if (fresh := self._fresh()) else []
        replaced = [key for key in self.dropped if not _within(key, self.head)]
        parts += [f"dropped: {len(replaced)} of replaced blocks"] if replaced else []
        return "; ".join(parts)

    def _fresh(self) -> list[str]:
        head = [key for key in self.fresh if _within(key, self.head)]
        counts = self.fresh_counts()
        inserted = len(self.fresh) - len(head) - len(counts)
        there = "none there"
        if self.classes:
            there = f"{self.classes[0]} classes there, {self.classes[1]} here"
        return [
            *([f"{inserted} of inserted modules"] if inserted else []),
            *([f"{len(head)} of the classifier ({there})"] if head else []),
            *([f"{len(counts)} batch counts"] if counts else []),
        ]

    def fresh_counts(self) -> list[str]:
        """Return the batch counts that are the only tensor of their norm to stay as initialized."""
        counts = [key.removesuffix(_COUNT) for key in self.fresh if key.endswith(_COUNT)]
        return [norm + _COUNT for norm in counts if f"{norm}.running_mean" not in self.fresh]


def transfer(model: nn.Module, path: Path) -> Transfer:
    """Load pretrained weights, in place, to train from, and return which were kept.

    The file may have the keys of the plain backbone or those of the placed network. Inserted
    modules that are missing from the file stay unchanged, as does a classifier (the last linear
    layer or convolution) that is missing or has another number of classes there; weights of
    replaced blocks and of such a classifier are dropped. All other tensors must fit.

    Args:
        model: the network, as placed.
        path: a file that :func:`~attnbench.models.pretrained.read_state` reads.

    Raises:
        RequestError: the file is no state dict, or not of this network, which stays unchanged.
    """
    return _transfer(model, path, any_head=True)


def load_weights(model: nn.Module, path: Path) -> str:
    """Load a state dict, in place, and return a description of the loaded weights.

    Unlike in :func:`transfer`, the classifier must fit as well.

    Returns:
        One line: the file, and the tensors that it does not cover.

    Raises:
        RequestError: the file is no state dict, or not of this network, which stays unchanged.
    """
    transferred = _transfer(model, path, any_head=False)
    own = len(transferred.fresh) - len(transferred.fresh_counts())
    note = f"; {own} tensors of inserted modules are not in it and stay random" if own else ""
    return f"{path.name}{note}"


def _transfer(model: nn.Module, path: Path, *, any_head: bool) -> Transfer:
    wanted = model.state_dict()
    given = _given(model, read_state(path, wanted), wanted)
    head = _misfit_head(model, given.tensors, wanted) if any_head else None
    fitting = {key: value for key, value in given.tensors.items() if not _within(key, head)}
    kept = {key: value for key, value in fitting.items() if key in wanted}
    missing = {
        key
        for key in wanted.keys() - kept.keys() - given.optional
        if not (_within(key, head) or key.endswith(_COUNT))
    }
    unknown = {
        key
        for key in fitting.keys() - kept.keys()
        if not any(_within(key, block) for block in given.replaced)
    }
    _check(kept, wanted, missing, {given.names[key] for key in unknown}, path)
    _load(model, kept, path)
    return Transfer(
        kept=len(kept),
        total=len(wanted),
        fresh=tuple(key for key in wanted if key not in kept),
        dropped=tuple(name for key, name in given.names.items() if key not in kept),
        head=head,
        classes=_classes(head, given.tensors, wanted),
    )


@dataclass(frozen=True)
class _Given:
    """The tensors of a file, under their keys in the placed network."""

    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    """Keys of the tensors in the file."""
    optional: frozenset[str] = frozenset()
    """Keys that may be missing from the file."""
    replaced: tuple[str, ...] = ()
    """Paths of replaced blocks, for which the file may still have keys."""


def _given(model: nn.Module, read: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> _Given:
    inserted = {path: part for path, part in model.named_modules() if isinstance(part, Inserted)}
    names = {_placed(key, inserted): key for key in read}
    if len(wanted.keys() & read.keys()) > len(wanted.keys() & names.keys()):
        return _Given(read, {key: key for key in read})  # saved with the inserted modules
    return _Given(
        {key: read[name] for key, name in names.items()},
        names,
        frozenset(key for key in wanted if any(_within(key, f"{at}.attention") for at in inserted)),
        tuple(f"{at}.block" for at, part in inserted.items() if _is_replaced(part)),
    )


def _placed(key: str, inserted: Iterable[str]) -> str:
    """Return the key that a weight of the plain network has in the placed one."""
    for path in inserted:  # outer modules come before inner ones
        if key.startswith(f"{path}."):
            key = f"{path}.block.{key.removeprefix(f'{path}.')}"
    return key


def _is_replaced(inserted: Inserted) -> bool:
    return isinstance(inserted.block, nn.Identity)


def _within(key: str, path: str | None) -> bool:
    return path is not None and key.startswith(f"{path}.")


def _misfit_head(
    model: nn.Module, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> str | None:
    """Return the path of the classifier if the file lacks it or has another number of classes."""
    head = _head(model)
    if head is None or not any(_within(key, head) for key in given):
        return head
    there, here = (state.get(f"{head}.weight") for state in (given, wanted))
    if there is None or here is None:
        return None
    same_input = there.shape[1:] == here.shape[1:]
    return head if same_input and there.shape[:1] != here.shape[:1] else None


def _head(model: nn.Module) -> str | None:
    """Return the path of the last linear layer or convolution outside attention modules."""
    inserted = [path for path, part in model.named_modules() if isinstance(part, Inserted)]
    found = [
        path
        for path, part in model.named_modules()
        if isinstance(part, _HEADS) and not any(_within(path, f"{at}.attention") for at in inserted)
    ]
    return found[-1] if found else None


def _classes(
    head: str | None, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[int, int] | None:
    key = f"{head}.weight"
    return (len(given[key]), len(wanted[key])) if head is not None and key in given else None


def _check(
    kept: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    missing: Collection[str],
    unknown: Collection[str],
    path: Path,
) -> None:
    """Raise :class:`RequestError` if a tensor is missing, unknown or of another shape."""
    why = _named(missing, unknown)
    for key, value in kept.items():
        if not why and value.shape != wanted[key].shape:
            there, here = tuple(value.shape), tuple(wanted[key].shape)
            why = f"size mismatch for {key}: {there} in the file, {here} in the network"
    if not why and not kept:
        why = "no tensor of it fits"
    if why:
        raise RequestError(f"weights {path} are not of this network: {why}")


def _named(missing: Iterable[str], unknown: Iterable[str]) -> str:
    parts = []
    for what, keys in (("lacking", sorted(missing)), ("unknown", sorted(unknown))):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            parts.append(f"{what} {', '.join(keys[:_SHOWN])}{more}")
    return "; ".join(parts)


def _load(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # from a module with a loading method of its own
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RequestError(f"weights {path} are not of this network: {lines[-1]}") from error


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
