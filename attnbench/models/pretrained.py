"""Transfer of a user's weights into a network with or without inserted modules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from attnbench.errors import RequestError
from attnbench.models.block_layers import Inserted
from attnbench.models.weight_files import IGNORED, StateDict, read_state

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
    state: StateDict | None = None
    """The part of the file, if it has others."""

    def __str__(self) -> str:
        """Return one line: the tensors kept, left as initialized and dropped, with their origin."""
        parts = [f"{self.kept} of {self.total} tensors kept"]
        parts += [f"fresh: {', '.join(fresh)}"] if (fresh := self._fresh()) else []
        replaced = [key for key in self.dropped if not _within(key, self.head)]
        parts += [f"dropped: {len(replaced)} of replaced blocks"] if replaced else []
        if self.state and self.state.outside:
            parts.append(f"not used: {len(self.state.outside)} beside {self.state.place}")
        parts += [self.state.choice] if self.state and self.state.choice else []
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


def transfer(model: nn.Module, path: Path, *, any_head: bool = True) -> Transfer:
    """Load pretrained weights, in place, to train from, and return which were kept.

    The file may have the keys of the plain backbone or those of the placed network. Inserted
    modules that are missing from the file stay unchanged, as does a classifier (the last linear
    layer or convolution) that is missing or has another number of classes there; weights of
    replaced blocks and of such a classifier are dropped. All other tensors must fit.

    Args:
        model: the network, as placed.
        path: a file that :func:`~attnbench.models.weight_files.read_state` reads.
        any_head: whether the classifier may differ; otherwise it must fit as well.

    Raises:
        RequestError: the file is no state dict, or not of this network, which stays unchanged.
    """
    wanted = model.state_dict()
    inserted = _find_inserted(model)
    known = _known_shapes(wanted, inserted)
    state = read_state(path, known)
    read = {key: value for key, value in state.tensors.items() if not _is_ignored(key, known)}
    names = {_placed(key, inserted): key for key in read}
    if len(wanted.keys() & read.keys()) > len(wanted.keys() & names.keys()):
        names, inserted = {key: key for key in read}, {}  # saved with the inserted modules
    given = {key: read[name] for key, name in names.items()}
    head = _misfit_head(model, given, wanted) if any_head else None
    fits = (key for key in given if key in wanted and not _within(key, head))
    kept = {key: given[key] for key in fits}
    new = [f"{at}.attention" for at in inserted]
    empty = (at for at, part in inserted.items() if isinstance(part.block, nn.Identity))
    replaced = [f"{at}.block" for at in empty]
    missing = [
        key
        for key in wanted.keys() - kept.keys()
        if not (_within(key, head, *new) or key.endswith(_COUNT))
    ]
    unknown = [
        name
        for key, name in names.items()
        if key not in kept and not (_within(key, head, *replaced) or key.endswith(_COUNT))
    ]
    if problem := _problem(kept, wanted, missing, unknown):
        raise RequestError(
            f"weights {path} are not of this network: {problem}; {state}. Give those of the "
            "plain backbone or of the same placement."
        )
    _load(model, kept, path)
    weight = f"{head}.weight"
    return Transfer(
        kept=len(kept),
        total=len(wanted),
        fresh=tuple(key for key in wanted if key not in kept),
        dropped=tuple(name for key, name in names.items() if key not in kept),
        head=head,
        classes=(len(given[weight]), len(wanted[weight])) if head and weight in given else None,
        state=state if state.outside or state.also else None,
    )


def load_weights(model: nn.Module, path: Path) -> str:
    """Load a state dict, in place, and return one line: the file, the tensors it does not cover.

    Unlike in :func:`transfer`, the classifier must fit as well.

    Raises:
        RequestError: the file is no state dict, or not of this network, which stays unchanged.
    """
    transferred = transfer(model, path, any_head=False)
    own = len(transferred.fresh) - len(transferred.fresh_counts())
    note = f"; {own} tensors of inserted modules are not in it and stay random" if own else ""
    if transferred.state and transferred.state.choice:
        note += f"; {transferred.state.choice}"
    return f"{path.name}{note}"


def _find_inserted(model: nn.Module) -> dict[str, Inserted]:
    return {path: part for path, part in model.named_modules() if isinstance(part, Inserted)}


def _placed(key: str, inserted: Iterable[str]) -> str:
    """Return the key that a weight of the plain network has in the placed one."""
    for path in inserted:  # outer modules come before inner ones
        if key.startswith(f"{path}."):
            key = f"{path}.block.{key.removeprefix(f'{path}.')}"
    return key


def _known_shapes(wanted: Mapping[str, Tensor], inserted: Iterable[str]) -> dict[str, torch.Size]:
    """Return the shape of each tensor by its name in the placed and in the plain network."""
    known = {key: value.shape for key, value in wanted.items()}
    for path in inserted:
        block = f"{path}.block."
        known |= {
            f"{path}.{key.removeprefix(block)}": shape
            for key, shape in known.items()
            if key.startswith(block)
        }
    return known


def _is_ignored(key: str, known: Collection[str]) -> bool:
    return key not in known and key.rpartition(".")[2] in IGNORED


def _within(key: str, *paths: str | None) -> bool:
    return key.startswith(tuple(f"{path}." for path in paths if path is not None))


def _misfit_head(
    model: nn.Module, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> str | None:
    """Return the path of the classifier if the file lacks it or has another number of classes.

    It is the last linear layer or convolution outside attention modules.
    """
    new = [f"{at}.attention" for at in _find_inserted(model)]
    layers = [path for path, part in model.named_modules() if isinstance(part, _HEADS)]
    head = next((path for path in reversed(layers) if not _within(path, *new)), None)
    if head is None or not any(_within(key, head) for key in given):
        return head
    there, here = (state.get(f"{head}.weight") for state in (given, wanted))
    if there is None or here is None:
        return None
    same_input = there.shape[1:] == here.shape[1:]
    return head if same_input and there.shape[:1] != here.shape[:1] else None


def _problem(
    kept: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    missing: Collection[str],
    unknown: Collection[str],
) -> str:
    """Return which tensors are missing, unknown or of another shape; empty if all fit."""
    problems = []
    for what, keys in (("lacking", sorted(missing)), ("unknown", sorted(unknown))):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            problems.append(f"{what} {', '.join(keys[:_SHOWN])}{more}")
    for key, value in kept.items():
        if not problems and value.shape != wanted[key].shape:
            there, here = tuple(value.shape), tuple(wanted[key].shape)
            problems = [f"size mismatch for {key}: {there} in the file, {here} in the network"]
    if not problems and not kept:
        problems = ["no tensor of it fits"]
    return "; ".join(problems)


def _load(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # from a module with a loading method of its own
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RequestError(f"weights {path} are not of this network: {lines[-1]}") from error
