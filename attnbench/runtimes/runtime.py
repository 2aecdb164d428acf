"""What a runtime is, what it is asked for, and what it gives back. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from attnbench.errors import AttnbenchError, RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn

PRECISIONS = ("fp32", "bf16", "int8")
TOLERANCE = 1e-4
"""Largest difference from eager that still counts as equal, relative to the output's largest value.

Runtimes fold batch norm into convolutions, use Winograd and sum in another order; through fifty
layers that leaves 1e-6 to 1e-5.
"""


class RuntimeFailure(AttnbenchError):  # noqa: N818 - the model failed in a runtime, the name says it
    """A model that a runtime cannot export, load or run; its text is the reason, in one line."""


@dataclass(frozen=True)
class RuntimeSettings:
    """How a model is to run."""

    threads: int = 1
    precision: str = "fp32"
    device: str = "cpu"


@dataclass(frozen=True)
class Built:
    """A model ready to be timed in a runtime."""

    run: Callable[[], object]
    """One inference on the bound example and nothing else: what is timed."""
    output: Callable[[Tensor], Tensor]
    """Logits or features for any input of the example's shape, fp32 on the CPU."""
    export_s: float | None
    """Seconds that the export took when the artefact was made; None where nothing is exported."""
    load_s: float
    """Seconds to create the session, or to compile."""
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    """What left the fast path, and how often: ``"aten.max_pool2d not delegated"``."""
    notes: tuple[str, ...] = ()
    artefact: Path | None = None
    tolerance: float = TOLERANCE
    """Of the fp32 output against eager, relative to the output's largest value."""


@runtime_checkable
class Runtime(Protocol):
    """What the registry hands out. Looking at one imports neither torch nor the runtime."""

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    devices: ClassVar[tuple[str, ...]]
    """Kinds of devices: ``"cuda"`` stands for ``"cuda:1"`` too."""
    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions belong to a figure."""
    extra: ClassVar[str | None]
    """The optional extra of attnbench that brings it."""

    def missing(self) -> str | None:
        """Return why it cannot be used here, naming the way out, or None."""
        ...

    def build(
        self, model: nn.Module, example: Tensor, settings: RuntimeSettings, folder: Path
    ) -> Built:
        """Return the model ready to run; the model given is not changed.

        Args:
            model: any network of one input and one output.
            example: (B, C, H, W), fp32, on the CPU.
            settings: threads, precision and device.
            folder: of this model and this shape; artefacts found there are used again.

        Raises:
            RequestError: the runtime does not offer the precision or the device here.
            RuntimeFailure: the model cannot be exported, loaded or run.
        """
        ...


class Base:
    """What the shipped runtimes share; a third party's may start from it."""

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    extra: ClassVar[str | None] = None
    suffix: ClassVar[str | None] = None
    """Of the file that it leaves in the folder, ``".onnx"``; None for a runtime without one."""

    def missing(self) -> str | None:
        """Return which packages are not installed and how to get them, or None."""
        absent = [one for one in self.packages if find_spec(one) is None]
        if not absent:
            return None
        what = f"'attnbench[{self.extra}]'" if self.extra else " ".join(absent)
        verb = "is" if len(absent) == 1 else "are"
        return f"{', '.join(absent)} {verb} not installed: pip install {what}"


def check(runtime: Runtime, settings: RuntimeSettings) -> None:
    """Refuse settings that a runtime does not offer.

    Raises:
        RequestError: what is wrong and what would be right.
    """
    if settings.precision not in runtime.precisions:
        raise RequestError(
            f"runtime {runtime.name} has no precision {settings.precision!r}; "
            f"it has {', '.join(runtime.precisions)}"
        )
    if settings.device.partition(":")[0] not in runtime.devices:
        raise RequestError(
            f"runtime {runtime.name} does not run on device {settings.device!r}; "
            f"it runs on {', '.join(runtime.devices)}"
        )
    if settings.threads < 1:
        raise RequestError(f"threads must be at least 1, not {settings.threads}")
