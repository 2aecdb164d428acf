"""Loading of suite files, with errors that name file, key and remedy."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from attnbench.errors import RequestError, suggestion
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.plugins import Catalog
from attnbench.suites.schema import (
    Convention,
    Groups,
    Head,
    Nominal,
    PaperLayout,
    Row,
    Suite,
    TableAccuracy,
    TableLatency,
    TableLayout,
)
from attnbench.utils.text import shown_path
from attnbench.utils.toml import read_toml

_FIELDS: dict[str, type[BaseModel]] = {
    "suite": Head,
    "nominal": Nominal,
    "convention": Convention,
    "groups": Groups,
    "latency": TableLatency,
    "accuracy": TableAccuracy,
    "paper": PaperLayout,
    "row": Row,
    "table": TableLayout,
    "": Suite,
}


def find_suite(name: str, catalog: Catalog) -> Suite:
    """Return a suite by name or by path.

    Raises:
        RequestError: there is no such suite or file, or the file is malformed.
    """
    path = Path(name)
    if path.suffix == ".toml" or "/" in name:
        return read_suite(path)
    way_out = "Or give a path to a .toml file."
    return read_suite(
        catalog.suites.get(name, elsewhere=_elsewhere(name, catalog), way_out=way_out)
    )


def _elsewhere(name: str, catalog: Catalog) -> str:
    if is_backbone(name):
        return f"backbone: attnbench show backbone {name}"
    return f"module: attnbench show module {name}" if name in catalog.modules else ""


def read_suite(path: Path) -> Suite:
    """Return the suite in a file.

    Raises:
        RequestError: the file cannot be read, is not TOML, or violates the schema.
    """
    shown = shown_path(path)
    try:
        content = read_toml(path)
    except OSError as error:
        raise RequestError(f"suite file {shown} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"suite file {shown} is not UTF-8: {error.reason}. Save it as UTF-8"
        ) from error
    except ValueError as error:
        raise RequestError(f"suite file {shown} is not valid TOML: {error}") from error
    return parse_suite(content, shown)


def parse_suite(content: dict[str, Any], place: str) -> Suite:
    """Return a suite from its parsed content; ``place`` denotes the file in errors."""
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        raise RequestError(f"suite file {place}: {_explain(error.errors(), content)}") from error


def suite_hash(suite: Suite) -> str:
    """Return a short hash of the suite's whole content."""
    text = json.dumps(suite.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _explain(errors: Sequence[ErrorDetails], content: dict[str, Any]) -> str:
    """Return a message for the deepest error; for a union, combine the errors of all members."""
    places = [_place(error, content) for error in errors]
    # a misspelled key causes two errors, unknown and missing: the former is more informative
    is_unknown = [error["type"] == "extra_forbidden" for error in errors]
    _, _, deepest = max(zip(map(len, places), is_unknown, places, strict=True), key=lambda x: x[:2])
    same = [error for error, place in zip(errors, places, strict=True) if place == deepest]
    error = next((error for error in same if error["type"] == "value_error"), same[0])
    where = _shown(deepest)
    if error["type"] == "extra_forbidden":
        text = f"unknown key {where}; {_known_keys(deepest)}"
    elif error["type"] == "missing":
        text = f"{where} is missing; add it"
    elif error["type"] == "list_type" and deepest[-1] in ("table", "row"):
        header = ".".join(part for part in deepest if isinstance(part, str))
        text = f"{where} is one of several: write [[{header}]], in double brackets"
    else:
        wanted = [error] if error["type"] == "value_error" else same
        given = error["input"]
        shown = "" if isinstance(given, dict | list) else f", not {reprlib.repr(given)}"
        texts = dict.fromkeys(map(_wanted, wanted))
        text = f"{where or 'the file'}: {' or '.join(texts)}{shown}"
    others = len(set(places)) - 1
    return text + (f" (and {others} more)" if others else "")


_TYPES = {
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be an array",
    "tuple_type": "must be an array of two",
}


def _wanted(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return _TYPES.get(error["type"], message)


def _place(error: ErrorDetails, content: Any) -> tuple[int | str, ...]:
    """Return the keys of an error location in the file, without the union members of pydantic."""
    place: list[int | str] = []
    for part in error["loc"]:
        if isinstance(content, dict | list) and _has(content, part):
            content = content[part]  # type: ignore[index]  # a key of a dict, an index of a list
            place.append(part)
    if error["type"] == "missing":
        place.append(error["loc"][-1])
    return tuple(place)


def _has(content: dict[str, Any] | list[Any], part: int | str) -> bool:
    if isinstance(content, dict):
        return part in content
    return isinstance(part, int) and part < len(content)


def _shown(place: Sequence[int | str]) -> str:
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _known_keys(place: Sequence[int | str]) -> str:
    parents = [part for part in place[:-1] if isinstance(part, str) and part in _FIELDS]
    known = list(_FIELDS[parents[-1] if parents else ""].model_fields)
    return f"known: {', '.join(known)}.{suggestion(str(place[-1]), known)}"
