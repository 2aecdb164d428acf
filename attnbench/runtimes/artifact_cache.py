"""Cache of exported files on disk: an entry is reused if complete and made from the same model."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from attnbench.runtimes.runtime import Runtime, RuntimeSettings, versions

if TYPE_CHECKING:
    from torch import Tensor, nn

_FORMAT = 1


class Exporting(Runtime, Protocol):
    """A runtime that exports a model to a file."""

    suffix: ClassVar[str | None]


@dataclass(frozen=True)
class CachedArtifact:
    """The description of an artefact, recorded when it was made."""

    export_s: float
    files: Mapping[str, str]
    """Names of the files, each with the SHA-256 digest of its content."""
    fallbacks: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ExportNotes:
    """The report of an exporter, besides its files."""

    fallbacks: Mapping[str, int]
    notes: tuple[str, ...] = ()


def artefact(
    runtime: Exporting,
    settings: RuntimeSettings,
    folder: Path,
    key: str,
    make: Callable[[Path], ExportNotes],
) -> tuple[Path, CachedArtifact]:
    """Return the artefact of a runtime in ``folder``, made if necessary.

    The artefact is made in a temporary folder and then moved; its description is written last. An
    artefact that a kill left incomplete, or that was damaged later, fails the digest check and is
    made again.

    Args:
        runtime: the runtime that exports.
        settings: the settings; the precision is part of the file name.
        folder: the folder of the artefacts; created if necessary.
        key: the digest of model and example, see :func:`key_of`.
        make: writes the main file to the given path, and any further files beside it.
    """
    suffix = runtime.suffix or ""
    stem = f"{runtime.name}-{settings.precision}"
    identity = {"format": _FORMAT, "key": key, "versions": versions(runtime)}
    description = folder / f"{stem}.json"
    kept = _read(description, identity)
    if kept is None:
        folder.mkdir(parents=True, exist_ok=True)
        kept = _made(folder, stem + suffix, make)
        _write(description, {"identity": identity, **asdict(kept)})
    return folder / f"{stem}{suffix}", kept


def key_of(model: nn.Module, example: Tensor) -> str:
    """Return a digest of a model's structure and weights and of the example's shape."""
    digest = hashlib.sha256(f"{model}{tuple(example.shape)}".encode())
    for name, tensor in model.state_dict(keep_vars=False).items():
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(_bytes()).numpy().data)
    return digest.hexdigest()


def _bytes() -> Any:
    import torch

    return torch.uint8


def _made(folder: Path, name: str, make: Callable[[Path], ExportNotes]) -> CachedArtifact:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as scratch:
        started = time.perf_counter()
        findings = make(Path(scratch) / name)
        seconds = time.perf_counter() - started
        files = {}
        for path in sorted(path for path in Path(scratch).iterdir() if path.is_file()):
            files[path.name] = _digest(path)
            os.replace(path, folder / path.name)  # noqa: PTH105 - replaces what is there
    return CachedArtifact(round(seconds, 3), files, dict(findings.fallbacks), findings.notes)


def _read(description: Path, identity: Mapping[str, Any]) -> CachedArtifact | None:
    """Return the cached description; None if absent, damaged or of another model."""
    try:
        read = json.loads(description.read_text())
        if read.pop("identity") != identity:
            return None
        kept = CachedArtifact(**{**read, "notes": tuple(read["notes"])})
        whole = all(
            _digest(description.parent / name) == digest for name, digest in kept.files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return kept if whole and kept.files else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(content, indent=1))
    scratch.replace(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
