"""Reading suite files, with errors that name file, key and remedy."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from attnbench.errors import RequestError, suggestion
from attnbench.plugins import Catalog
from attnbench.registry import shown_path
from attnbench.suites.schema import Groups, Head, Nominal, Row, Suite, TableLayout

_FIELDS = {
    "suite": Head,
    "nominal": Nominal,
    "groups": Groups,
    "row": Row,
    "table": TableLayout,
    "": Suite,
}


def find_suite(name: str, catalog: Catalog) -> Suite:
    """Return a suite by name or by path.

    Raises:
        RequestError: no such suite or file, or the file is malformed.
    """
    path = Path(name)
    if path.suffix == ".toml" or "/" in name:
        return read_suite(path)
    elsewhere = f"module: attnbench show module {name}" if name in catalog.modules else ""
    return read_suite(
        catalog.suites.get(name, elsewhere=elsewhere, way_out="Or give a path to a .toml file.")
    )


def read_suite(path: Path) -> Suite:
    """Return the suite in a file.

    Raises:
        RequestError: the file cannot be read, is no TOML, or breaks the schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"suite file {shown_path(path)} cannot be read: {error}") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"suite file {shown_path(path)} is no TOML: {error}") from error
    return parse_suite(content, shown_path(path))


def parse_suite(content: dict[str, Any], place: str) -> Suite:
    """Return a suite from its parsed content; ``place`` is what errors call the file."""
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        first, *others = error.errors()
        more = f" ({len(others)} more)" if others else ""
        raise RequestError(f"suite file {place}: {_explain(first)}{more}") from error


def suite_hash(suite: Suite) -> str:
    """Return a short hash of the suite's whole content."""
    text = json.dumps(suite.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _explain(error: ErrorDetails) -> str:
    # pydantic adds the tried member of a union to the place; users know only their own keys
    location = [
        part
        for part in error["loc"]
        if isinstance(part, int) or (part.replace("_", "").isalnum() and part.islower())
    ]
    place = _place(location)
    if error["type"] == "extra_forbidden":
        return f"unknown key {place}; {_known_keys(location)}"
    if error["type"] == "missing":
        return f"{place} is missing"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = error["input"]
    shown = "" if isinstance(given, dict | list) else f", not {given!r}"
    return f"{place or 'the file'}: {message}{shown}"


def _place(location: list[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _known_keys(location: list[int | str]) -> str:
    parents = [part for part in location[:-1] if isinstance(part, str) and part in _FIELDS]
    model = _FIELDS[parents[-1] if parents else ""]
    known = list(model.model_fields)
    return f"known: {', '.join(known)}.{suggestion(str(location[-1]), known)}"
