"""The interface of a runtime: protocol, settings and result. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, get_args, runtime_checkable

from attnbench.errors import AttnbenchError, MissingExtraError, RequestError
from attnbench.system import provenance

if TYPE_CHECKING:
    from torch import Tensor, nn

Precision = Literal["fp32", "tf32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
EQUAL_PRECISIONS = ("fp32", "tf32")
"""Precisions whose output must be eager's, within a tolerance; others are only described."""


class RuntimeFailure(AttnbenchError):  # noqa: N818 - the name states that the model failed in a runtime
    """Failure of a runtime to export, load or run a model; its text is the reason, in one line."""


@dataclass(frozen=True)
class RuntimeSettings:
    """The settings of an inference run."""

    threads: int = 1
    precision: str = "fp32"
    device: str = "cpu"

    @property
    def device_kind(self) -> str:
        """Return the kind of the device: ``"cuda"`` for ``"cuda:1"``."""
        return self.device.partition(":")[0]


@dataclass(frozen=True)
class BuiltModel:
    """A model ready to be timed in a runtime."""

    run: Callable[[], object]
    """One inference on the bound example and nothing else: the timed function."""
    output: Callable[[Tensor], Tensor]
    """Function from any input of the example's shape to logits or features, fp32 on the CPU."""
    export_s: float | None
    """Seconds of the export that made the artifact; None if nothing is exported."""
    load_s: float
    """Seconds of creating the session or of compilation."""
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    """Counts of the operations outside the fast path: ``"aten.max_pool2d not delegated"``."""
    notes: tuple[str, ...] = ()
    artifact: Path | None = None
    """The exported file; None if nothing is exported."""
    tolerance: float | None = None
    """Tolerance of the output against eager, relative to the output's largest value, if it is not
    the usual one of the precision and the device."""
    allocates_in_torch: bool = False
    """Whether a call takes its memory from torch's allocator, which then knows the peak, unlike a
    replayed CUDA graph and a runtime with an arena of its own."""


@runtime_checkable
class Runtime(Protocol):
    """The interface of registered runtimes. Reading one imports neither torch nor the runtime."""

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    devices: ClassVar[tuple[str, ...]]
    """Kinds of devices: ``"cuda"`` includes ``"cuda:1"``."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions are recorded with a measurement."""
    extra: ClassVar[str | None]
    """Optional extra of attnbench that installs the runtime."""

    def missing(self) -> str | None:
        """Return the reason why it cannot be used here, with the remedy, or None."""
        ...

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> BuiltModel:
        """Return the model ready to run; the given model is not changed.

        Args:
            model: any network with one input and one output.
            example: (B, C, H, W), fp32, on the CPU.
            settings: threads, precision and device.
            folder: the folder of this model and this shape; artifacts in it are reused.

        Raises:
            RequestError: the runtime does not offer the precision or the device here.
            RuntimeFailure: the model cannot be exported, loaded or run.
        """
        ...


class RuntimeBase:
    """The base class of the shipped runtimes; third parties may derive from it."""

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    extra: ClassVar[str | None] = None
    suffix: ClassVar[str | None] = None
    """Suffix of the exported file, ``".onnx"``; None for a runtime that exports no file."""

    def missing(self) -> str | None:
        """Return the packages that are not installed and the command to install them, or None."""
        absent = [package for package in self.packages if find_spec(package) is None]
        if not absent:
            return None
        what = f"'attnbench[{self.extra}]'" if self.extra else " ".join(absent)
        verb = "is" if len(absent) == 1 else "are"
        return f"{', '.join(absent)} {verb} not installed: pip install {what}"

    def missing_on(self, device_kind: str) -> str | None:
        """Return the reason why it cannot use a kind of device here, with the remedy, or None."""
        return None


def precisions_on(runtime: Runtime, device_kind: str) -> tuple[str, ...]:
    """Return the precisions of a runtime on a kind of device; TF32 is one of CUDA devices only."""
    return tuple(name for name in runtime.precisions if name != "tf32" or device_kind == "cuda")


def check(runtime: Runtime, settings: RuntimeSettings) -> None:
    """Refuse settings that a runtime does not offer.

    Raises:
        RequestError: a setting is not offered; the error lists the valid ones.
        MissingExtraError: the runtime cannot use the device here.
    """
    kind = settings.device_kind
    for what, got, name, valid in (
        ("device", settings.device, kind, runtime.devices),
        ("precision", settings.precision, settings.precision, precisions_on(runtime, kind)),
    ):
        if name not in valid:
            raise RequestError(
                f"{what} is not supported by runtime {runtime.name}: got {got!r}. "
                f"Choose from {', '.join(valid)}."
            )
    if lacking := runtime.missing_on(kind) if isinstance(runtime, RuntimeBase) else None:
        raise MissingExtraError(lacking)
    if settings.threads < 1:
        raise RequestError(f"threads is too small: got {settings.threads}. Give 1 or more.")


def versions(found: Runtime) -> dict[str, str | None]:
    """Return the versions of the distributions that a runtime uses; None where absent."""
    installed = provenance.versions(found.packages)
    return {package: installed.get(package) for package in found.packages}
