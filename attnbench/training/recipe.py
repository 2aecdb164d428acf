"""Training recipes as TOML. Only their application to a network imports torch."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from attnbench.errors import RequestError, suggestion, unknown
from attnbench.utils.text import shown_path
from attnbench.utils.toml import read_toml

if TYPE_CHECKING:
    from torch import nn

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]
Three = Annotated[tuple[float, float, float], Field(strict=False)]
_SHIPPED = Path(__file__).with_name("recipes")
FALLBACK = "folder"
"""Recipe of data sets without a recipe of their own."""
_UNHASHED = {"name", "title", "source", "url", "datasets", "baseline", "workers", "smoke"}
"""Fields that do not affect the training of a network."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Optimizer(_Strict):
    """The optimizer, ``[optimizer]``."""

    name: Literal["sgd", "adamw", "rmsprop"] = "sgd"
    lr: Above
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 4e-5
    norm_weight_decay: NotNegative = 0.0
    """Weight decay of one-dimensional parameters: norms and biases."""

    @model_validator(mode="after")
    def _momentum_fits(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0.")
        return self


class Schedule(_Strict):
    """The learning rate schedule, ``[schedule]``, advanced after each optimizer step.

    ``onecycle`` also cycles the momentum from 0.95 to 0.85 and back, in place of the optimizer's.
    """

    name: Literal["constant", "cosine", "exponential", "step", "onecycle"] = "cosine"
    warmup_epochs: NotNegative = 0.0
    """Epochs of a linear warm-up from a hundredth; for ``onecycle`` it takes 0.3 of all steps."""
    gamma: Above = 0.98
    """Factor for each epoch (``exponential``), or every ``step_epochs`` (``step``)."""
    step_epochs: Positive = 30


class Stem(_Strict):
    """The strides of a backbone, ``[stem]``, for images smaller than it was designed for."""

    strides: list[Annotated[int, Field(ge=1, le=4)]]
    """Strides of the convolutions that halve the feature map, in the network's order; the remaining
    convolutions are unchanged."""


class Augment(BaseModel):
    """A transform of ``torchvision.transforms.v2`` with its options, ``[[augment]]``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of the transform."""
        return dict(self.model_extra or {})


class RecipeBaseline(_Strict):
    """The accuracy of a plain backbone according to the recipe's source, ``[[baseline]]``."""

    backbone: str
    dataset: str
    top1: Annotated[float, Field(ge=0, le=100)]
    source: str = ""


class Recipe(_Strict):
    """A training recipe."""

    name: str
    title: str
    source: str
    """Source of the settings."""
    url: str = ""
    datasets: list[str] = []
    """Data sets that have this recipe as their default."""
    size: Positive
    """Side of the square images, in training and in test."""
    resize: Positive | None = None
    """Shorter side before the center crop in test; ``size`` if omitted."""
    epochs: Positive
    batch_size: Annotated[int, Field(ge=2)]
    accumulate: Positive = 1
    """Number of parts that a batch is split into, with one optimizer step for all."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """Precision of products; ``tf32`` and ``fp16`` need a GPU, where fp32 excludes TF32."""
    compile: bool = False
    channels_last: bool = True
    label_smoothing: Fraction = 0.0
    mixup: NotNegative = 0.0
    """Alpha of mixup; 0 for none. Together with ``cutmix``, one of the two is drawn per batch."""
    cutmix: NotNegative = 0.0
    ema: Fraction = 0.0
    """Decay of the exponential moving average of the weights, which is tested; 0 for none."""
    clip_norm: Above | None = None
    draw: Positive = 8
    """Number of images of a batch that share one draw of the random transforms."""
    mean: Three
    std: Three
    workers: Annotated[int, Field(ge=0)] = 4
    """Number of processes that read files if the images do not fit into memory."""
    evaluate_every: Annotated[int, Field(ge=0)] = 0
    """Epochs between tests; 0 for the end only. No epoch is selected by its accuracy."""
    smoke: bool = False
    """Flag of a smoke test: its results show only that a network trains, and get no verdicts."""
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    stem: Stem | None = None
    augment: list[Augment] = []
    baseline: list[RecipeBaseline] = []

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size < 2 * self.accumulate:
            raise ValueError(
                f"batch_size is too small for accumulate {self.accumulate}: "
                f"got {self.batch_size}. Each part needs 2 images."
            )
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize is below size {self.size}: got {self.resize}.")
        return self

    @property
    def hash(self) -> str:
        """The short hash of all fields that affect a result."""
        # without defaults: a new key does not invalidate earlier results
        content = self.model_dump(mode="json", exclude=_UNHASHED, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


_TABLES: dict[str, type[_Strict]]
_TABLES = {"optimizer": Optimizer, "schedule": Schedule, "stem": Stem, "baseline": RecipeBaseline}


def recipes() -> list[str]:
    """Return the names of the shipped recipes, sorted."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name, or by the path of a TOML file.

    Raises:
        UnknownNameError: no such recipe.
        RequestError: the file cannot be read, or violates the schema.
    """
    if name.endswith(".toml") or "/" in name:
        changed = 0
        with suppress(OSError, ValueError):  # an absent file
            changed = Path(name).stat().st_mtime_ns
        return _read(Path(name), changed)  # a newer file is read again
    if name not in recipes():
        raise unknown("recipe", name, recipes(), way_out="Or give the path of a .toml file.")
    return _read(_SHIPPED / f"{name}.toml", 0)


def default_recipe(dataset: str) -> str:
    """Return the name of a data set's default recipe; ``folder`` if it has none."""
    name = dataset.split(",")[0]
    return next((recipe for recipe in recipes() if name in find_recipe(recipe).datasets), FALLBACK)


def adapt(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Set the strides that a recipe requests, in place, and return the network.

    Weights and their shapes are unchanged.

    Raises:
        RequestError: the recipe has more strides than the network has convolutions of stride 2.
    """
    from torch import nn

    if recipe.stem is None:
        return model
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    strided = [found for found in convolutions if tuple(found.stride) == (2, 2)]
    wanted = recipe.stem.strides
    if len(wanted) > len(strided):
        raise RequestError(
            f"recipe {recipe.name}: stem.strides has too many strides: got {len(wanted)}. "
            f"{type(model).__name__} has {len(strided)} convolutions of stride 2."
        )
    for convolution, stride in zip(strided, wanted, strict=False):
        convolution.stride = (stride, stride)
    return model


@cache
def _read(path: Path, changed: int) -> Recipe:
    shown = shown_path(path)
    try:
        content = read_toml(path)
        return Recipe.model_validate(content)
    except OSError as error:
        raise RequestError(f"recipe {shown} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise RequestError(f"recipe {shown}: {_mistake(first['loc'], first)}") from error
    except ValueError as error:
        raise RequestError(f"recipe {shown} is invalid TOML: {error}") from error


def _mistake(place: tuple[int | str, ...], found: Any) -> str:
    """Return a validation error as text: ``optimizer.momentun is an unknown key. ...``."""
    shown = ".".join(str(part) for part in place)
    if found["type"] != "extra_forbidden":
        message = found["msg"].removeprefix("Value error, ")
        return f"{shown}: {message[0].lower()}{message[1:]}" if shown else message
    known = list((_TABLES[str(place[0])] if place[1:] else Recipe).model_fields)
    near = suggestion(str(place[-1]), known)
    return f"{shown} is an unknown key. Choose from {', '.join(known)}.{near}"
