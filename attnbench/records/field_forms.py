"""Forms of the nested fields of a record, as tables and comparisons read them.

A field is checked and kept as it is: keys that are not listed are a newer attnbench's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from attnbench.stats.timing_samples import AGAIN

Count = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
"""A finite number: an integer as well."""
Pair = Annotated[list[Count], Field(min_length=2, max_length=2)]
_Natural = Annotated[int, Field(gt=0, lt=2**63)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True)


class _Adjustment(_Form):
    operator: str
    macs: Count
    why: str = ""


class _CounterReport(_Form):
    agree: bool
    unit: str
    macs: Count | None
    raw: Count | None = None
    factor: Number | None = None
    remainder: Count | None = None
    reason: str | None = None
    version: str | None = None
    adjustments: list[_Adjustment] | None = None
    unsupported: dict[str, Count] | None = None


class _Printed(_Form):
    differences: list[str] | None = None
    params_text: str | None = None
    macs_text: str | None = None
    params_tex: str | None = None
    macs_tex: str | None = None


class _Card(_Form):
    title: str
    family: str | None = None
    key: str | None = None
    short: str | None = None
    bibtex: str | None = None
    printed: _Printed | None = None
    traits: dict[str, bool | None] | None = None


class _Device(_Form):
    name: str = ""
    title: str = ""


class _Runtime(_Form):
    title: str = ""
    processor: str = ""
    isa: str = ""
    versions: dict[str, str] | None = None
    device: _Device | None = None
    fallbacks: dict[str, Count] | None = None
    notes: list[str] | None = None


class _Stated(_Form):
    backbone: str
    dataset: str
    top1: Number


class _Recipe(_Form):
    title: str = ""
    name: str = ""
    hash: str = ""
    smoke: bool = False
    baseline: list[_Stated] | None = None


class _Epoch(_Form):
    epoch: Number
    loss: Number
    top1: Number = 0


class _Training(_Form):
    dataset: str = ""
    synthetic: bool = False
    device: str = ""
    classes: Count = 0
    correct: str = ""
    images: Annotated[list[_Natural], Field(min_length=2, max_length=2)] = [1, 1]
    curve: list[_Epoch] = []
    recipe: _Recipe | None = None
    notes: list[str] | None = None
    unreadable: list[Count] | None = None
    unreadable_names: list[str] | None = None


class _Timed(_Form):
    runtime: str = ""
    batch: _Natural = 1
    precision: str = ""
    device: str = ""
    threads: Count = 1
    cold: bool = False
    graph: bool = False


class _Trained(_Form):
    dataset: str = ""
    recipe: str = ""
    seed: Count
    epochs: Count | None = None
    weights: str | None = None
    int8: bool = False
    threads: Count = 1


class _Conditions(_Form):
    backbone: str | None = None
    module: str | None = None
    placement: str | None = None
    channels: Count | None = None
    size: Pair | None = None
    fused: bool = False
    conditions: _Timed | None = None
    training: _Trained | None = None


class _Process(_Form):
    baseline: str
    seconds: dict[str, Annotated[list[_Positive], Field(min_length=1)]]
    calls: dict[str, Count]
    warmup_s: Number
    sampling_s: Number
    stopped: str
    dropped: Count = 0
    conditions: dict[str, Any] = {}


class _Slot(_Form):
    path: str
    channels: Count
    size: Pair
    layer: Count | None = None


class _Uncounted(_Form):
    operator: str
    calls: Count
    sizes: list[list[Count]]


class _Accepted(_Form):
    reason: str = ""
    date: str = ""


def first_fault(error: ValidationError) -> str:
    """Return the place of the first fault and what it is, ``values.macs: field required``."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in _OPTIONS)
    return f"{place}: {first['msg'].lower().partition(' or instance')[0]}"


_OPTIONS = ("constrained-int", "constrained-float")
"""Names of the options of a number among the parts of a place."""


def _of_form(form: Any) -> AfterValidator:
    """Return a check of a field against a form; it names the inner place of the first fault."""
    adapter = TypeAdapter(form)

    def check(value: Any) -> Any:
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            raise PydanticCustomError("form", "{text}", {"text": first_fault(error)}) from None
        return value

    return AfterValidator(check)


_PROCESSES = TypeAdapter(list[_Process])


def check_samples(samples: Any) -> list[dict[str, Any]]:
    """Return the samples of a latency case as they are.

    Raises:
        ValueError: they are not rounds of a baseline, its copy and the same arms in each process.
    """
    _PROCESSES.validate_python(samples)
    for process in samples:
        rows = process["seconds"]
        needed = {process["baseline"], AGAIN, *samples[0]["seconds"]}
        if not needed == rows.keys() <= process["calls"].keys():
            raise ValueError("samples are not of a baseline, its copy and the same arms")
        if len({*map(len, rows.values())}) != 1:
            raise ValueError("samples of a process have unequal numbers of rounds")
    return samples  # type: ignore[no-any-return]  # of this type, as was just checked


def is_sampled(value: Any) -> bool:
    """Return whether a value is the samples of a latency case."""
    try:
        check_samples(value)
    except ValueError:
        return False
    return True


Counters = Annotated[dict[str, Any], _of_form(dict[str, _CounterReport])]
Card = Annotated[dict[str, Any], _of_form(_Card)]
Runtime = Annotated[dict[str, Any], _of_form(_Runtime)]
Training = Annotated[dict[str, Any], _of_form(_Training)]
CaseConditions = Annotated[dict[str, Any], _of_form(_Conditions)]
Slots = Annotated[list[dict[str, Any]], _of_form(list[_Slot])]
Uncounted = Annotated[list[dict[str, Any]], _of_form(list[_Uncounted])]
Accepted = Annotated[dict[str, Any], _of_form(_Accepted)]
