"""Checkpoints of a training: one that is whole, at any instant."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from safetensors import SafetensorError

from attnbench.errors import RequestError
from attnbench.utils.text import describe

_CURRENT, _MARK, _OWN = "current", "whole.json", "own.pt"
_NEW, _OLD = ".new-", ".old-"


class Stateful(Protocol):
    """What has a state to be saved."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take over what was saved."""
        ...


@dataclass
class TrainingProgress:
    """How far a training is; saved with it."""

    step: int = 0
    """Optimizer steps done."""
    losses: list[torch.Tensor] = field(default_factory=list)
    """Of the steps of the running epoch."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """Of the epochs that are over."""

    def state_dict(self) -> dict[str, Any]:
        """Return what ``torch.save`` writes."""
        losses = torch.stack(self.losses).cpu() if self.losses else torch.empty(0)
        return {"step": self.step, "losses": losses, "curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was saved."""
        self.step, self.curve = state["step"], state["curve"]
        self.losses = list(state["losses"].unbind())


class Checkpoint:
    """The checkpoint of one training in a folder of its own.

    A new one is written beside the old one and then takes its place; what a kill leaves of it is
    not looked at, unless it came between the two renames. One that is of another training
    (``identity``) is not either. Nothing that is read is run: ``accelerate`` would unpickle any
    object of what is registered with it, so that ``states`` are kept in a file of their own.

    Args:
        folder: made when it is first needed.
        identity: of everything that must be the same for the training to go on.
        states: what is saved beside the accelerator's network and optimizer.
    """

    def __init__(self, folder: Path, identity: str, states: Mapping[str, Stateful]) -> None:
        self.folder = folder
        self.identity = identity
        self.states = states

    def save(self, accelerator: Accelerator) -> None:
        """Write the state of a training.

        Raises:
            RequestError: the folder cannot be written.
        """
        if not accelerator.is_main_process:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
            self._write(fresh, accelerator)
            with contextlib.suppress(FileNotFoundError):  # the first one
                (self.folder / _CURRENT).rename(fresh.with_name(fresh.name.replace(_NEW, _OLD)))
            fresh.rename(self.folder / _CURRENT)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch's are no OSError
            reason = describe(error)
            raise RequestError(f"checkpoint {self.folder} cannot be written: {reason}") from error
        finally:
            if (self.folder / _CURRENT).is_dir():
                for left in self._left():
                    shutil.rmtree(left, ignore_errors=True)

    def load(self, accelerator: Accelerator) -> bool:
        """Put a training into the state that was saved; False where there is none that fits.

        Raises:
            RequestError: one is whole, yet cannot be read.
        """
        found = next((one for one in self._candidates() if self._is_whole(one)), None)
        if found is None:
            return False
        try:
            own = torch.load(found / _OWN, map_location="cpu", weights_only=True)
            accelerator.load_state(str(found))
            for name, state in self.states.items():
                state.load_state_dict(own[name])
        except Exception as error:  # of many kinds
            raise RequestError(
                f"checkpoint {found} cannot be read: {describe(error)}; remove it to start anew"
            ) from error
        return True

    def _write(self, fresh: Path, accelerator: Accelerator) -> None:
        accelerator.save_state(str(fresh))
        own = {name: state.state_dict() for name, state in self.states.items()}
        torch.save(own, fresh / _OWN)
        mark = {"identity": self.identity, "files": _digests(fresh)}
        (fresh / _MARK).write_text(json.dumps(mark), encoding="utf-8")

    def _candidates(self) -> list[Path]:
        """The current one; without it, a kill came between the two renames."""
        current = self.folder / _CURRENT
        return [current] if current.is_dir() else self._left()

    def _left(self) -> list[Path]:
        """Return what a kill, or this process, left beside the current one; new before old."""
        try:
            return sorted(one for one in self.folder.iterdir() if one.name.startswith((_NEW, _OLD)))
        except OSError:
            return []

    def _is_whole(self, path: Path) -> bool:
        try:
            mark = json.loads((path / _MARK).read_text(encoding="utf-8"))
            return bool(mark["identity"] == self.identity and mark["files"] == _digests(path))
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests of the files: after a power cut one can have its size and no content."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != _MARK:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "blake2b").hexdigest()
    return found
