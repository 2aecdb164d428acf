"""Cases: units of measurement, with the conditions of their latency or training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from attnbench.errors import RequestError
from attnbench.registry.attention import Attention, find_attention
from attnbench.registry.specs import value_text

if TYPE_CHECKING:
    from attnbench.registry.plugins import Catalog

DEFAULT_SIZE = (224, 224)
GRAPHED = ("eager", "eager-channels-last")
"""Runtimes whose calls can be replayed as CUDA graphs."""


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
        given = [f"{key}={value_text(value)}" for key, value in self.overrides().items()]
        return ",".join([self.runtime, *given])

    def overrides(self) -> dict[str, Any]:
        """Return the non-default values, sorted by name."""
        plain = vars(Conditions(self.runtime))
        return {key: value for key, value in sorted(vars(self).items()) if plain[key] != value}


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


@dataclass(frozen=True)
class Case:
    """A unit of measurement; specs and placement are canonical text."""

    kind: str
    backbone: str | None
    module: str | None
    placement: str | None
    channels: int | None
    size: tuple[int, int]
    """Size of the input image; for a module alone, size of the feature map."""
    counters: bool = False
    fused: bool = False
    """Use of the module's inference form instead of its training form."""
    conditions: Conditions | None = None
    """Conditions of a latency case."""
    training: Training | None = None
    """Training of an accuracy case, with one seed."""
    section: str | None = None
    """Part of the backbone that alone is timed: paths of consecutive modules, joined by ``+``."""
    attention: Attention | None = field(default=None, compare=False, repr=False)
    """The module, looked up when the case is planned or reaches a worker; None in a plain case,
    without the module's package, and in a case that is only read."""

    @property
    def network(self) -> str:
        """Return the network, ``mobilenet_v2/ulsam,groups=8/replace:14,17``."""
        parts = [self.backbone or "alone", self.module or "plain"]
        height, width = self.size
        if self.channels is not None:
            parts.append(f"{self.channels}x{height}x{width}")
        else:
            parts += [self.placement] if self.placement else []
            parts += [f"{height}x{width}"] if self.size != DEFAULT_SIZE else []
        parts += ["fused"] if self.fused else []
        parts += [f"only {self.section}"] if self.section else []
        return "/".join(parts)

    @property
    def name(self) -> str:
        """Return the canonical name: kind, network, and conditions or training."""
        return self._named(str(self.training) if self.training else "")

    @property
    def key(self) -> str:
        """Return the canonical name without the seed, which the trainings of a network share."""
        return self._named(self.training.key if self.training else "")

    @property
    def plain(self) -> Case:
        """Return the case of the same backbone without the module.

        A plain section is itself compared with the whole backbone.
        """
        section = self.section if self.module else None
        return replace(
            self, module=None, placement=None, fused=False, attention=None, section=section
        )

    def fuse(self) -> Case:
        """Return the case with the module's inference form."""
        return replace(self, fused=True)

    def for_latency(self, conditions: Conditions) -> Case:
        """Return the latency case of the same network."""
        return replace(self, kind="latency", counters=False, conditions=conditions)

    def for_training(self, training: Training, side: int) -> Case:
        """Return the accuracy case of the same network, on images of ``side`` pixels."""
        return replace(
            self,
            kind="accuracy",
            size=(side, side),
            counters=False,
            fused=False,  # the inference form of the same weights
            training=training,
        )

    def _named(self, training: str) -> str:
        parts = [self.kind, self.network]
        parts += [str(self.conditions)] if self.conditions else []
        parts += [training] if training else []
        return "/".join(parts)

    def resolve(self, catalog: Catalog) -> Case:
        """Return the case with its module looked up.

        Raises:
            AttnbenchError: there is no such module, or it does not take its options.
        """
        if self.module is None or self.attention is not None:
            return self
        return replace(self, attention=find_attention(self.module, catalog))

    def to_json(self) -> dict[str, Any]:
        """Return the fields that identify the case."""
        content = {item.name: getattr(self, item.name) for item in fields(self) if item.compare}
        parts = {key: asdict(part) for key, part in content.items() if key in _PARTS and part}
        if self.section is None:  # records that are older than sections have no such field
            del content["section"]
        return {**content, **parts, "size": list(self.size)}


def conditions_of(case: Case) -> Conditions:
    """Return the conditions of a latency case; raise RequestError for other cases."""
    if case.conditions is None:
        raise RequestError(f"{case.name} is not a latency case")
    return case.conditions


def training_of(case: Case) -> Training:
    """Return the training conditions of an accuracy case; raise RequestError for other cases."""
    if case.training is None:
        raise RequestError(f"{case.name} is not an accuracy case")
    return case.training


_PARTS: dict[str, Any] = {"conditions": Conditions, "training": Training}


def case_from_json(content: dict[str, Any]) -> Case:
    """Return the case with the given fields, its module not looked up."""
    height, width = content["size"]
    parts = {key: make(**content[key]) for key, make in _PARTS.items() if content.get(key)}
    return Case(**{**content, **parts, "size": (height, width)})
