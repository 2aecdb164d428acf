"""Forms of the nested fields of a record, as tables and comparisons read them.

A field is checked and kept as it is: keys that are not listed are a newer attnbench's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

Number = int | float
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True)


class _Adjustment(_Form):
    operator: str
    macs: int


class _CounterReport(_Form):
    agree: bool
    unit: str
    macs: int | None
    raw: int | None = None
    factor: Number | None = None
    remainder: int | None = None
    reason: str | None = None
    adjustments: list[_Adjustment] | None = None


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


class _Runtime(_Form):
    title: str = ""
    processor: str = ""
    isa: str = ""
    versions: dict[str, str] | None = None
    device: dict[str, Any] | None = None
    notes: list[str] | None = None


class _Recipe(_Form):
    title: str = ""
    name: str = ""
    hash: str = ""


class _Training(_Form):
    dataset: str = ""
    classes: int = 0
    correct: str = ""
    images: Pair = [0, 0]
    curve: list[dict[str, Any]] = []
    recipe: _Recipe | None = None
    notes: list[str] | None = None
    unreadable: list[int] | None = None
    unreadable_names: list[Any] | None = None


class _Conditions(_Form):
    module: str | None = None
    conditions: dict[str, Any] | None = None
    training: dict[str, Any] | None = None


class _Slot(_Form):
    path: str
    channels: int
    size: Pair
    layer: int | None = None


class _Uncounted(_Form):
    operator: str
    calls: int
    sizes: list[list[int]]


class _Accepted(_Form):
    reason: str = ""
    date: str = ""


def _of_form(form: Any) -> AfterValidator:
    """Return a check of a field against a form; it names the inner place of the first fault."""
    adapter = TypeAdapter(form)

    def check(value: Any) -> Any:
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            text = (
                f"{'.'.join(map(str, first['loc']))}: {first['msg'].partition(' or instance')[0]}"
            )
            raise PydanticCustomError("form", "{text}", {"text": text}) from None
        return value

    return AfterValidator(check)


Counters = Annotated[dict[str, Any], _of_form(dict[str, _CounterReport])]
Card = Annotated[dict[str, Any], _of_form(_Card)]
Runtime = Annotated[dict[str, Any], _of_form(_Runtime)]
Training = Annotated[dict[str, Any], _of_form(_Training)]
CaseConditions = Annotated[dict[str, Any], _of_form(_Conditions)]
Slots = Annotated[list[dict[str, Any]], _of_form(list[_Slot])]
Uncounted = Annotated[list[dict[str, Any]], _of_form(list[_Uncounted])]
Accepted = Annotated[dict[str, Any], _of_form(_Accepted)]
