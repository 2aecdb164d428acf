"""Checkpoints of a training run; a complete one exists at any instant."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from attnbench.errors import RequestError
from attnbench.utils.text import describe

_CURRENT, _MARK, _OWN = "current", "whole.json", "own.pt"
_NEW, _OLD = ".new-", ".old-"


@dataclass
class TrainingProgress:
    """The progress of a training run; part of its checkpoint."""

    step: int = 0
    """Number of completed optimizer steps."""
    losses: list[torch.Tensor] = field(default_factory=list)
    """Losses of the steps of the current epoch."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the completed epochs."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state that ``torch.save`` writes."""
        losses = torch.stack(self.losses).cpu() if self.losses else torch.empty(0)
        return {"step": self.step, "losses": losses, "curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved state."""
        self.step, self.curve = state["step"], state["curve"]
        self.losses = list(state["losses"].unbind())


Stateful = TrainingProgress | LRScheduler | AveragedModel
"""Objects with a state to be saved."""


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one training run in a folder of its own.

    A new checkpoint is written beside the old one and then replaces it; an incomplete one, left by
    a kill, is ignored, unless the kill came between the two renames. A checkpoint of another
    training run (``identity``) is ignored, too. Reading a checkpoint executes no code:
    ``accelerate`` would unpickle arbitrary objects registered with it, so that ``states`` are kept
    in a separate file.

    Args:
        folder: the folder; created when it is first needed.
        identity: the hash of everything that must be unchanged to resume the training run.
        states: the objects saved in addition to the accelerator's network and optimizer.
    """

    folder: Path
    identity: str
    states: Mapping[str, Stateful]

    def save(self, accelerator: Accelerator) -> None:
        """Write the state of a training run.

        Raises:
            RequestError: the folder cannot be written.
        """
        if not accelerator.is_main_process:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
            self._write(fresh, accelerator)
            with contextlib.suppress(FileNotFoundError):  # no previous checkpoint
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
        """Restore the saved state of a training run; return False if there is none that matches.

        Raises:
            RequestError: a checkpoint is complete, but cannot be read.
        """
        current = self.folder / _CURRENT
        # without a current checkpoint, a kill between the renames may have left complete ones
        candidates = [current] if current.is_dir() else self._left()
        found = next((path for path in candidates if self._is_whole(path)), None)
        if found is None:
            return False
        try:
            own = torch.load(found / _OWN, map_location="cpu", weights_only=True)
            accelerator.load_state(str(found))
            for name, state in self.states.items():
                state.load_state_dict(own[name])
        except Exception as error:  # the readers raise many kinds
            problem = f"checkpoint {found} cannot be read: {describe(error).rstrip('.')}."
            raise RequestError(f"{problem} Remove it to start anew.") from error
        return True

    def _write(self, fresh: Path, accelerator: Accelerator) -> None:
        accelerator.save_state(str(fresh))
        own = {name: state.state_dict() for name, state in self.states.items()}
        torch.save(own, fresh / _OWN)
        mark = {"identity": self.identity, "files": _digests(fresh)}
        (fresh / _MARK).write_text(json.dumps(mark), encoding="utf-8")

    def _left(self) -> list[Path]:
        """Return the other checkpoints that a kill, or this process, left; new before old."""
        return sorted([*self.folder.glob(f"{_NEW}*"), *self.folder.glob(f"{_OLD}*")])

    def _is_whole(self, path: Path) -> bool:
        try:
            mark = json.loads((path / _MARK).read_text(encoding="utf-8"))
            return bool(mark["identity"] == self.identity and mark["files"] == _digests(path))
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests of the files; after a power cut, a file of full size may be empty."""
    paths = sorted(path for path in folder.iterdir() if path.name != _MARK)
    return {path.name: hashlib.blake2b(path.read_bytes()).hexdigest() for path in paths}
