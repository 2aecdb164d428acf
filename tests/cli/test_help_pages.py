"""Help pages: groups, short sentences, placeholders, defaults, examples that parse."""

import shlex

import pytest
import typer

from attnbench.cli.app import GROUPS, app
from attnbench.errors import RequestError
from attnbench.registry.placement_grammar import parse_placement
from attnbench.registry.plugins import catalog
from attnbench.registry.specs import parse_spec

PROGRAM = typer.main.get_command(app)
COMMANDS = PROGRAM.commands
EXAMPLES = [
    line
    for command in COMMANDS.values()
    for line in command.epilog.replace("\\\n", "").splitlines()
]


@pytest.fixture(params=[80, 120])
def columns(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


def page_of(name):
    program = PROGRAM.make_context("attnbench", [], resilient_parsing=True)
    if not name:
        return PROGRAM.get_help(program)
    command = COMMANDS[name]
    return command.get_help(command.make_context(name, [], parent=program, resilient_parsing=True))


def test_commands_stand_in_groups_with_sentences_that_are_never_cut(columns):
    page = page_of("")
    assert [head for head in GROUPS if f"\n{head}:\n" in page] == list(GROUPS)
    for name, command in COMMANDS.items():
        sentence = command.help.splitlines()[0].removesuffix(".")
        assert len(sentence) < 50
        assert any(line.split() == [name, *f"{sentence}.".split()] for line in page.splitlines())
    assert "..." not in page.partition("Options:")[0].partition("\n")[2]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_pages_fit_and_end_with_two_examples(name, columns):
    page = page_of(name)
    assert max(map(len, page.splitlines())) <= 80
    examples = page.partition("\nExamples:\n")[2].replace("\\\n", "").splitlines()
    assert len(examples) == 2
    assert all(line.startswith("  attnbench ") for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_placeholders_instead_of_types(name):
    page = page_of(name)
    assert not [text for text in ("{", "}", "<", "[default: (", "x>=", " range") if text in page]
    for param in COMMANDS[name].params:
        flag = getattr(param, "is_flag", False)
        assert flag or param.metavar, f"{name} {param.name} shows a type of Python"


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_parse(example):
    _, name, *words = shlex.split(example.partition(" > ")[0].partition(" | ")[0])
    command = COMMANDS[name]
    given = command.make_context(name, words).params
    modules = [*(given.get("add") or [])]
    modules += (
        [given["module"]] if isinstance(given.get("module"), str) else given.get("module") or []
    )
    for spec in modules:
        known = parse_spec(spec, "module").name
        assert ".py:" in known or known in catalog().modules.names()
    placement = given.get("placement") or []
    for text in [placement] if isinstance(placement, str) else placement:
        parse_placement(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("latency --budget abc", "--budget must be a number: got 'abc'"),
        ("doctor --budget -1", "--budget must be a number of at least 0: got '-1'"),
        ("accuracy --seeds 0", "--seeds must be a whole number of at least 1: got '0'"),
        ("cost --channels 1.5", "--channels must be a whole number of at least 1: got '1.5'"),
        (
            "accept results/quick 'cost/*'",
            "accept needs --reason TEXT: got none. "
            "Write: attnbench accept results/quick 'cost/*' --reason TEXT",
        ),
        (
            "compare --strict",
            "compare needs [BASE] NEW: got none. "
            "For example: attnbench compare results/quick attnbench-results/quick",
        ),
        ("show module", "show needs KIND NAME: got none. For example: attnbench show module se"),
    ],
)
def test_values_that_are_wrong_or_missing_are_named(words, message):
    name, *given = shlex.split(words)
    with pytest.raises(RequestError) as raised:
        COMMANDS[name].make_context(name, given)
    assert str(raised.value) == message
