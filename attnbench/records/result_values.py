"""The door through which a result becomes a record: complete, of the right types, plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attnbench.records.field_forms import first_fault
from attnbench.records.format import Record

Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
_STRICT = ConfigDict(strict=True, extra="allow")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Counts(BaseModel):
    model_config = _STRICT
    __pydantic_extra__: dict[str, int | None]  # pyright: ignore[reportIncompatibleVariableOverride]
    params: Count
    trainable: Count
    params_no_norm: Count
    macs: Count
    activations: Count
    bytes: Count
    operators: Count


class _Validated(BaseModel):
    model_config = _STRICT
    __pydantic_extra__: dict[str, Finite | None]  # pyright: ignore[reportIncompatibleVariableOverride]
    max_error: Finite | None
    tolerance: Finite
    peak_bytes: Count | None


class _Scores(BaseModel):
    model_config = _STRICT
    __pydantic_extra__: dict[str, Finite | None]  # pyright: ignore[reportIncompatibleVariableOverride]
    top1: Percent
    top5: Percent | None
    loss: Finite
    steps: Count


class _Cost(BaseModel):
    values: _Counts


class _Latency(BaseModel):
    values: _Validated
    samples: Annotated[list[dict[str, Any]], Field(min_length=1)]
    runtime: dict[str, Any]


class _Accuracy(BaseModel):
    values: _Scores
    training: dict[str, Any]


class _Export(BaseModel):
    runtime: dict[str, Any]


_RESULTS: Mapping[str, type[BaseModel]] = {
    "cost": _Cost,
    "latency": _Latency,
    "accuracy": _Accuracy,
    "export": _Export,
}


def complete_record(fields: Mapping[str, Any], result: Mapping[str, Any]) -> Record:
    """Return the record of a case; a result that lacks what its kind requires is a failure.

    Args:
        fields: the fields of a record that are not measured.
        result: the measured fields; empty unless ``status`` is ``ok``.
    """
    known = {**fields, **plain_text({key: fields[key] for key in ("reason", "notes")})}
    if fields["status"] != "ok":
        return Record.model_validate(known)
    samples = result.get("samples", [])  # texts of ours and numbers alone, but many of them
    rest = plain_text({key: value for key, value in result.items() if key != "samples"})
    measured = {**rest, "samples": samples, **known}
    try:
        _RESULTS[fields["kind"]].model_validate(measured)
        return Record.model_validate(measured)
    except ValidationError as error:
        reason = f"the result is incomplete or damaged: {first_fault(error)}"
        return Record.model_validate({**known, "status": "failed", "reason": reason})


def plain_text(value: Any) -> Any:
    """Return a JSON value as a record file restores it; lone surrogates become escapes in text.

    Exceptions and file names may contain such characters, which UTF-8 cannot represent.
    """
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(_SURROGATE.sub(lambda found: rf"\\u{ord(found[0]):04x}", text))
