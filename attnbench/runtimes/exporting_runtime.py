"""Runtimes that export a model to a file: their base class, and the cache of the files on disk.

A cached file is reused if it is complete and was made from the same model by the same versions.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.runtimes.runtime import BuiltModel, RuntimeBase, RuntimeSettings, check, versions
from attnbench.runtimes.torch_export import capture_output
from attnbench.utils.files import replace_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    Bound = tuple[Callable[[], object], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class ExportNotes:
    """The report of an exporter or of a session: operations off the fast path, and notes."""

    fallbacks: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CachedArtifact:
    """The description of an artifact, recorded when it was made."""

    export_s: float
    files: Mapping[str, str]
    """Names of the files, each with the SHA-256 digest of its content."""
    fallbacks: Mapping[str, int]
    notes: tuple[str, ...]


class ExportingRuntime(RuntimeBase, ABC):
    """The base class of runtimes that write a file, load it and run it.

    An artifact is made in a temporary folder and then moved; its description is written last. One
    that a kill left incomplete, or that was damaged later, fails the digest check and is made
    again.
    """

    suffix: ClassVar[str]  # pyright: ignore[reportIncompatibleVariableOverride]

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Export the model to ``folder``, or reuse the artifact there; see :class:`Runtime`."""
        self._check(settings)
        path = folder / f"{_stem(self.name, settings)}{self.suffix}"
        identity = {"format": 1, "key": _key(model, example), "versions": versions(self)}
        kept = _read(path.with_suffix(".json"), identity)
        if kept is None:
            folder.mkdir(parents=True, exist_ok=True)
            kept = _make(path, lambda scratch: self._write(model, example, settings, scratch))
            described = {"identity": identity, **asdict(kept)}
            replace_file(path.with_suffix(".json"), json.dumps(described, indent=1))
        started = time.perf_counter()
        session = self._load(path, example, settings)
        load_s = time.perf_counter() - started
        run, output = self._bind(session, example)
        found = self._inspect(session, settings)
        fallbacks, notes = {**kept.fallbacks, **found.fallbacks}, (*kept.notes, *found.notes)
        return BuiltModel(run, output, kept.export_s, load_s, fallbacks, notes, path)

    def _check(self, settings: RuntimeSettings) -> None:
        check(self, settings)

    @abstractmethod
    def _write(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, path: Path
    ) -> ExportNotes:
        """Write the artifact to ``path``, and any further files beside it."""

    @abstractmethod
    def _load(self, path: Path, example: Tensor, settings: RuntimeSettings) -> Any:
        """Return a session of the artifact; its duration is ``load_s``."""

    @abstractmethod
    def _bind(self, session: Any, example: Tensor) -> Bound:
        """Return ``run`` and ``output`` of :class:`BuiltModel`."""

    def _inspect(self, session: Any, settings: RuntimeSettings) -> ExportNotes:
        """Return notes on the loaded model, beyond those of its export."""
        return ExportNotes()


def _stem(name: str, settings: RuntimeSettings) -> str:
    """Return the name of an artifact; its notes are of one precision on one device."""
    device = "" if settings.device == "cpu" else f"-{settings.device.replace(':', '-')}"
    return f"{name}-{settings.precision}{device}"


def _key(model: nn.Module, example: Tensor) -> str:
    """Return a digest of a model's structure and weights and of the example's shape."""
    import torch

    digest = hashlib.sha256(f"{model}{tuple(example.shape)}".encode())
    for name, tensor in model.state_dict(keep_vars=False).items():
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _make(path: Path, write: Callable[[Path], ExportNotes]) -> CachedArtifact:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as scratch:
        started = time.perf_counter()
        with capture_output():
            report = write(Path(scratch) / path.name)
        seconds = time.perf_counter() - started
        files = {}
        for made in sorted(made for made in Path(scratch).iterdir() if made.is_file()):
            files[made.name] = _digest(made)
            made.replace(path.parent / made.name)
    return CachedArtifact(round(seconds, 3), files, dict(report.fallbacks), report.notes)


def _read(description: Path, identity: Mapping[str, Any]) -> CachedArtifact | None:
    try:
        read = json.loads(description.read_text())
        if read.pop("identity") != identity:
            return None
        kept = CachedArtifact(**{**read, "notes": tuple(read["notes"])})
        files = kept.files.items()
        is_whole = all(_digest(description.parent / name) == digest for name, digest in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return kept if is_whole and files else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
