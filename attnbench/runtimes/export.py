"""An exported file for a device, its output checked before anyone gets it."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.runtimes.output_check import Agreement, agreement
from attnbench.runtimes.registry import versions
from attnbench.runtimes.runtime import Built, Runtime, RuntimeFailure, RuntimeSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Delivered:
    """What was written."""

    files: tuple[Path, ...]
    """The artefact first."""
    bytes: int
    export_s: float | None
    agreement: Agreement
    fallbacks: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; an error that is no number is null."""
        checked = asdict(self.agreement)
        checked.pop("equal")
        if not math.isfinite(checked["max_error"]):
            checked["max_error"] = None
        return {
            "file": str(self.files[0]),
            "files": [str(path) for path in self.files],
            "bytes": self.bytes,
            "export_s": self.export_s,
            **checked,
            "fallbacks": self.fallbacks,
            "notes": list(self.notes),
        }


def deliver(
    runtime: Runtime,
    model: nn.Module,
    inputs: Sequence[Tensor],
    settings: RuntimeSettings,
    stem: Path,
    about: dict[str, Any],
    reference: nn.Module | None = None,
) -> Delivered:
    """Export a model, check it, and only then leave it as ``stem`` with the runtime's suffix.

    Beside it goes ``stem.RUNTIME.json``: what it is, its input, how it was checked, versions.

    Args:
        runtime: one that exports.
        model: the network.
        inputs: to check it on; the first is the example that fixes the shape.
        settings: threads (of the check) and precision.
        stem: the path without suffix; its folder is made if need be.
        about: what is to stand in the description beside what is known here.
        reference: what the output is compared with, where that is not the model itself: the plain
            form of a fused one.

    Raises:
        RuntimeFailure: it cannot be exported, or its output is wrong; nothing is left then.
        RequestError: the runtime does not offer the precision, or the folder cannot be written.
    """
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=stem.parent, prefix=".exporting-") as scratch:
            built = runtime.build(model, inputs[0], settings, Path(scratch))
            checked = agreement(built, reference or model, inputs, settings)
            _refuse_wrong(checked, settings)
            files = _moved(_artefact(built, runtime), stem)
    except OSError as error:
        raise RequestError(f"{stem.parent} cannot be written: {error}") from error
    done = Delivered(
        files=files,
        bytes=sum(path.stat().st_size for path in files),
        export_s=built.export_s,
        agreement=checked,
        fallbacks=dict(built.fallbacks),
        notes=built.notes,
    )
    _describe(stem, runtime, inputs[0], about | done.to_dict())
    return done


def _refuse_wrong(checked: Agreement, settings: RuntimeSettings) -> None:
    """Refuse an output that cannot be: reduced precision may differ, but must be numbers."""
    if checked.equal or (settings.precision != "fp32" and math.isfinite(checked.max_error)):
        return
    if not math.isfinite(checked.max_error):
        raise RuntimeFailure("the exported model's output is not finite or not of eager's shape")
    raise RuntimeFailure(
        f"the exported model's output differs from eager by {checked.max_error:.1e} of its largest "
        f"value; {checked.tolerance:.0e} is allowed"
    )


def _artefact(built: Built, runtime: Runtime) -> Path:
    if built.artefact is None:
        raise RequestError(f"runtime {runtime.name} leaves no file")
    return built.artefact


def _moved(artefact: Path, stem: Path) -> tuple[Path, ...]:
    """Move an artefact, and the files of its name beside it, to their final names."""
    others = sorted(
        path
        for path in artefact.parent.glob(f"{artefact.stem}.*")
        if path != artefact and path.suffix != ".json"
    )
    moved = []
    for path in (artefact, *others):
        final = stem.with_name(stem.name + path.suffix)
        shutil.move(path, final)
        moved.append(final)
    return tuple(moved)


def _describe(stem: Path, runtime: Runtime, example: Tensor, about: dict[str, Any]) -> None:
    described = {
        **about,
        "input": {"shape": list(example.shape), "dtype": "float32", "layout": "NCHW"},
        "versions": versions(runtime),
        "files": [Path(name).name for name in about["files"]],
        "file": Path(about["file"]).name,
    }
    path = stem.with_name(f"{stem.name}.{runtime.name}.json")
    path.write_text(json.dumps(described, indent=2) + "\n")
