"""Export of a model to a file for a device; its output is checked before delivery."""

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
from attnbench.runtimes.runtime import Runtime, RuntimeFailure, RuntimeSettings, versions
from attnbench.utils.files import replace_file

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ExportedFile:
    """The files of an export, with their check."""

    files: tuple[Path, ...]
    """Paths of the files; the artifact is the first."""
    bytes: int
    export_s: float | None
    agreement: Agreement
    fallbacks: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; an error that is not finite is null."""
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


def export_file(
    runtime: Runtime,
    model: nn.Module,
    inputs: Sequence[Tensor],
    settings: RuntimeSettings,
    stem: Path,
    about: dict[str, Any],
    reference: nn.Module | None = None,
) -> ExportedFile:
    """Export a model, check its output, then move it to ``stem`` with the runtime's suffix.

    ``stem.RUNTIME.json`` beside it describes the model, its input, the check and the versions.

    Args:
        runtime: a runtime that exports files.
        model: the network.
        inputs: the inputs of the check; the first is the example that fixes the shape.
        settings: threads (of the check) and precision.
        stem: the path without suffix; its folder is created if necessary.
        about: further entries of the description.
        reference: the network that the output is compared with, if it is not the model itself: the
            plain form of a fused model.

    Raises:
        RuntimeFailure: the export fails, or its output is wrong; no file is left in either case.
        RequestError: the runtime does not offer the precision, or the folder cannot be written.
    """
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=stem.parent, prefix=".exporting-") as scratch:
            built = runtime.build(model, inputs[0], settings, Path(scratch))
            checked = agreement(built, reference or model, inputs, settings)
            _refuse_wrong(checked, settings)
            if built.artifact is None:
                raise RequestError(f"runtime {runtime.name} cannot export: it writes no file.")
            files = _move(built.artifact, stem)
    except OSError as error:
        raise RequestError(
            f"folder {stem.parent} cannot be written: {error}. Choose another folder."
        ) from error
    size, fallbacks = sum(path.stat().st_size for path in files), dict(built.fallbacks)
    done = ExportedFile(files, size, built.export_s, checked, fallbacks, tuple(built.notes))
    _describe(stem, runtime, inputs[0], about | done.to_dict())
    return done


def _refuse_wrong(checked: Agreement, settings: RuntimeSettings) -> None:
    """Refuse a wrong output: reduced precision may differ from eager, but must be finite."""
    if checked.equal or (settings.precision != "fp32" and math.isfinite(checked.max_error)):
        return
    if not math.isfinite(checked.max_error):
        raise RuntimeFailure("the exported model's output is not finite or not of eager's shape")
    raise RuntimeFailure(
        f"the exported model's output differs from eager by {checked.max_error:.1e} of its largest "
        f"value; {checked.tolerance:.0e} is allowed"
    )


def _move(artifact: Path, stem: Path) -> tuple[Path, ...]:
    """Move an artifact, and the files with the same stem beside it, to their final names."""
    beside = sorted(artifact.parent.glob(f"{artifact.stem}.*"))
    others = [path for path in beside if path != artifact and path.suffix != ".json"]
    final = {path: stem.with_name(stem.name + path.suffix) for path in (artifact, *others)}
    for path, target in final.items():
        shutil.move(path, target)
    return tuple(final.values())


def _describe(stem: Path, runtime: Runtime, example: Tensor, about: dict[str, Any]) -> None:
    described = {
        **about,
        "input": {"shape": list(example.shape), "dtype": "float32", "layout": "NCHW"},
        "versions": versions(runtime),
        "files": [Path(name).name for name in about["files"]],
        "file": Path(about["file"]).name,
    }
    path = stem.with_name(f"{stem.name}.{runtime.name}.json")
    replace_file(path, json.dumps(described, indent=2) + "\n")
