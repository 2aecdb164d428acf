import json
import re
import tomllib
from importlib import resources

import pytest

from attnbench.registry.plugins import catalog
from attnbench.suites.load import read_suite
from attnbench.suites.schema import ColumnKey, Row, Suite, json_schema

SHIPPED = sorted(
    path for path in resources.files("attnbench_suites").iterdir() if path.name.endswith(".toml")
)
every_suite = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)


def test_there_are_shipped_suites():
    files = {catalog().suites.get(name).name for name in catalog().suites.names()}
    assert {path.name for path in SHIPPED} == files
    assert len(SHIPPED) >= 6


@every_suite
def test_shipped_suites_are_read(path):
    suite = read_suite(path)
    assert catalog().suites.get(suite.suite.name).name == path.name
    assert catalog().suites.entry(suite.suite.name).title


# --- a JSON Schema validator for what pydantic writes


def errors(value, schema, root):
    if "$ref" in schema:
        schema = schema | root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    members = schema.get("anyOf", [])
    if members and all(list(errors(value, member, root)) for member in members):
        yield f"{value!r} is none of {members}"
    if value not in schema.get("enum", [schema.get("const", value)]):
        yield f"{value!r} is not allowed"
    if "type" in schema and not is_of(value, schema["type"]):
        yield f"{value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from object_errors(value, schema, root)
    elif isinstance(value, list):
        yield from array_errors(value, schema, root)
    else:
        yield from plain_errors(value, schema)


def plain_errors(value, schema):
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield "too short"
        if not re.search(schema.get("pattern", ""), value):
            yield f"{value!r} is not like {schema['pattern']}"
    if isinstance(value, int | float):
        above, least = schema.get("exclusiveMinimum", value - 1), schema.get("minimum", value)
        if value <= above or value < least:
            yield f"{value} is too small"


def is_of(value, kind):
    if isinstance(value, bool):
        return kind == "boolean"
    kinds = {
        "object": dict, "array": list, "string": str, "integer": int, "number": int | float,
        "null": type(None), "boolean": bool,
    }  # fmt: skip
    return isinstance(value, kinds[kind])


def object_errors(value, schema, root):
    known = schema.get("properties", {})
    yield from (f"{key} is missing" for key in schema.get("required", []) if key not in value)
    names = schema.get("propertyNames")
    for key, one in value.items():
        if names:
            yield from errors(key, names, root)
        rest = schema.get("additionalProperties", True)
        if key in known:
            yield from errors(one, known[key], root)
        elif rest is False:
            yield f"{key} is unknown"
        elif rest is not True:
            yield from errors(one, rest, root)


def array_errors(value, schema, root):
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{len(value)} items"
    items = [*schema.get("prefixItems", [])]
    items += [schema.get("items", {})] * (len(value) - len(items))
    for one, member in zip(value, items, strict=False):
        yield from errors(one, member, root)


def as_editor_sees(text):
    schema = json.loads(json.dumps(json_schema()))
    return list(errors(tomllib.loads(text), schema, schema))


@every_suite
def test_json_schema_accepts_the_shipped_suites(path):
    assert as_editor_sees(path.read_text(encoding="utf-8")) == []


SMALL = """
[suite]
name = "s"
title = "S"
size = [3, 4]
[[table]]
columns = ["label"]
[[table.row]]
module = "se"
channels = 3
printed.params = "3k"
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('title = "S"', ""),
        ('title = "S"', "title = 3"),
        ('title = "S"', 'titel = "S"'),
        ('"s"', '"S S"'),
        ("[3, 4]", "[3, 4, 5]"),
        ("[3, 4]", "0"),
        ('["label"]', "[]"),
        ('["label"]', '["lable"]'),
        ("channels = 3", 'channels = "3"'),
        ('"se"', "[]"),
        ("printed.params", "printed.parms"),
    ],
)
def test_json_schema_refuses(old, new):
    assert as_editor_sees(SMALL) == []
    assert SMALL.count(old) == 1
    assert as_editor_sees(SMALL.replace(old, new)) != []


def test_json_schema_says_which_it_is_and_what_keys_mean():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "[[table.row]]" in schema["$defs"]["Row"]["description"]
    assert set(schema["properties"]) == set(Suite.model_fields)


def test_columns_of_the_schema():
    assert {"label", "params", "macs", "counters"} <= set(ColumnKey.__args__)


@pytest.mark.parametrize(
    ("row", "many"),
    [
        ({"module": "se", "channels": 8}, False),
        ({"module": "@all", "channels": 8}, True),
        ({"module": ["se"], "channels": 8}, True),
        ({"module": "se", "channels": [8, 16]}, True),
        ({"backbone": "b"}, False),
        ({"backbone": ["b"]}, True),
        ({"backbone": "b", "module": "se", "placement": ["after:3"]}, True),
    ],
)
def test_is_many(row, many):
    assert Row(**row).is_many() == many
