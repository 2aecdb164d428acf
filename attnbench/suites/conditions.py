"""Under which conditions a latency is measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from attnbench.specs import value_text

PRECISIONS = ("fp32", "bf16", "int8")


@dataclass(frozen=True)
class Conditions:
    """What a latency case adds to what is run: by what, on what, how."""

    runtime: str
    batch: int = 1
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    cold: bool = False
    """Caches flushed before each call; on CUDA only."""
    graph: bool = False
    """Replayed as a CUDA graph."""

    def __str__(self) -> str:
        """Return ``onnxruntime,batch=8``: a spec, defaults dropped."""
        given = [f"{key}={value_text(value)}" for key, value in self.given().items()]
        return ",".join([self.runtime, *given])

    def given(self) -> dict[str, Any]:
        """Return what is not at its default, sorted by name."""
        plain = asdict(Conditions(self.runtime))
        return {key: value for key, value in sorted(asdict(self).items()) if plain[key] != value}
