"""Checkpoints of a training: one that is whole, at any instant."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from attnbench.errors import RequestError

_CURRENT, _MARK = "current", "whole.json"


@dataclass
class Progress:
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
    not looked at. One that is of another training (``identity``) is not either.

    Args:
        folder: made when it is first needed.
        identity: of everything that must be the same for the training to go on.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self.identity = identity

    def save(self, accelerator: Accelerator) -> None:
        """Write the state of a training.

        Raises:
            RequestError: the folder cannot be written.
        """
        fresh = self.folder / f".new-{os.getpid()}"
        old = self.folder / f".old-{os.getpid()}"
        try:
            accelerator.save_state(str(fresh))
            if accelerator.is_main_process:
                sizes = {file.name: file.stat().st_size for file in fresh.iterdir()}
                mark = {"identity": self.identity, "sizes": sizes}
                (fresh / _MARK).write_text(json.dumps(mark), encoding="utf-8")
                with contextlib.suppress(FileNotFoundError):  # the first one
                    (self.folder / _CURRENT).rename(old)
                fresh.rename(self.folder / _CURRENT)
        except OSError as error:
            raise RequestError(f"checkpoint {self.folder} cannot be written: {error}") from error
        finally:
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(fresh, ignore_errors=True)

    def load(self, accelerator: Accelerator) -> bool:
        """Put a training into the state that was saved; False where there is none that fits."""
        found = next((one for one in self._candidates() if self._is_whole(one)), None)
        if found is None:
            return False
        accelerator.load_state(str(found))
        return True

    def _candidates(self) -> list[Path]:
        """The current one; without it, a kill came between the two renames."""
        try:
            others = sorted(self.folder.glob(".*-*"))
        except OSError:
            return []
        return [self.folder / _CURRENT, *others]

    def _is_whole(self, path: Path) -> bool:
        try:
            mark = json.loads((path / _MARK).read_text(encoding="utf-8"))
            sizes = {name: (path / name).stat().st_size for name in mark["sizes"]}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return bool(mark.get("identity") == self.identity and sizes == mark["sizes"])
