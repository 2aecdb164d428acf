"""Conditions of a latency measurement and of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from attnbench.registry.specs import value_text

PRECISIONS = ("fp32", "bf16", "int8")


@dataclass(frozen=True)
class Conditions:
    """Conditions of a latency case: runtime, batch, precision, device and mode of execution."""

    runtime: str
    batch: int = 1
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    cold: bool = False
    """Cache flush before each call; on CUDA only."""
    graph: bool = False
    """Replay as a CUDA graph."""

    def __str__(self) -> str:
        """Return ``onnxruntime,batch=8``: a spec, defaults dropped."""
        given = [f"{key}={value_text(value)}" for key, value in self.given().items()]
        return ",".join([self.runtime, *given])

    def given(self) -> dict[str, Any]:
        """Return the non-default values, sorted by name."""
        plain = asdict(Conditions(self.runtime))
        return {key: value for key, value in sorted(asdict(self).items()) if plain[key] != value}


@dataclass(frozen=True)
class Training:
    """Training of an accuracy case: data set, recipe and seed."""

    dataset: str
    recipe: str
    """Name or path of the recipe; never empty."""
    seed: int = 0
    epochs: int | None = None
    """Number of epochs, instead of the recipe's."""
    weights: str | None = None
    """File of initial weights."""
    int8: bool = False
    """Additional measurement of the accuracy after quantization."""
    threads: int = 1
    """Number of processor threads, which affects rounding."""

    @property
    def settings(self) -> str:
        """Return the recipe and its overrides, ``digits-quick,epochs=3``, defaults dropped."""
        given = {
            "epochs": self.epochs,
            "int8": self.int8 or None,
            "threads": self.threads if self.threads != 1 else None,
            "weights": self.weights,
        }
        parts = [f"{key}={value_text(value)}" for key, value in given.items() if value is not None]
        return ",".join([self.recipe, *parts])

    @property
    def key(self) -> str:
        """Return ``digits/digits-quick,epochs=3``: data set and settings without the seed."""
        return f"{self.dataset}/{self.settings}"

    def __str__(self) -> str:
        """Return ``digits/digits-quick,epochs=3,seed=0``: the seed last, defaults dropped."""
        return f"{self.key},seed={self.seed}"
