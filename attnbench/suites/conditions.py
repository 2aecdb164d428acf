"""Under which conditions a latency is measured, or a network trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from attnbench.registry.specs import value_text

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


@dataclass(frozen=True)
class Training:
    """What an accuracy case adds to the network: data, recipe and the seed of one training."""

    dataset: str
    recipe: str
    """Name or path; never empty."""
    seed: int = 0
    epochs: int | None = None
    """Instead of the recipe's."""
    weights: str | None = None
    """File of weights to start from."""
    int8: bool = False
    """Also the accuracy after quantisation."""
    threads: int = 1
    """Of the processor; another number rounds differently."""

    def __str__(self) -> str:
        """Return ``digits/digits-quick,epochs=3,seed=0``: the seed last, defaults dropped."""
        given = {
            "epochs": self.epochs,
            "int8": self.int8 or None,
            "threads": self.threads if self.threads != 1 else None,
            "weights": self.weights,
        }
        parts = [f"{key}={value_text(one)}" for key, one in given.items() if one is not None]
        return "/".join([self.dataset, ",".join([self.recipe, *parts, f"seed={self.seed}"])])
