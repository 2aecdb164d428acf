"""What is left of a statement in normal form: code, and what of a card decides."""

import ast

import pytest

from attnbench.records.definitions import dotted_chain
from attnbench.records.normal_form import NormalForm, normalize

SOURCE = '''class Mine:
    """It doubles."""

    def forward(self, x):
        """Return x."""
        return x * 2  # why

    card = Card(
        title="A",
        paper=Paper(title="P"),
        traps=("It waits.",),
        official={"*": "after:all"},
        params=lambda channels: 4,
        printed=PrintedCost(source="P, table 1", params=lambda channels: 5),
        version=1,
    )
'''

SAME = {
    "comment": ("# why", "# because"),
    "docstring of the class": ("It doubles.", "It is twice that."),
    "docstring of a function": ("Return x.", "Return it."),
    "title": ('title="A"', 'title="B"'),
    "paper": ('title="P"', 'title="Q"'),
    "trap": ('("It waits.",)', '("It waits.", "It stalls.")'),
    "layout": ("x * 2", "(x  *  2)"),
    "source of a formula": ("table 1", "table 2"),
}
FORMULAS = {"formula": ("channels: 4", "channels: 6"), "printed": ("channels: 5", "channels: 6")}
OTHER = {
    "code": ("x * 2", "x * 3"),
    "place": ("after:all", "after:14"),
    "version": ("version=1", "version=2"),
}
COST, OTHERS = NormalForm(counts_formulas=True), NormalForm()


def engine_name(expression):
    return (dotted_chain(expression) or ("",))[-1]


def normal(source, form=OTHERS, names=engine_name):
    node = normalize(ast.parse(source).body[0], form, names)
    return None if node is None else ast.unparse(node)


def changed(pair, form=OTHERS):
    assert pair[0] in SOURCE
    return normal(SOURCE.replace(*pair), form)


@pytest.mark.parametrize("form", [COST, OTHERS], ids=["cost", "others"])
@pytest.mark.parametrize("name", SAME)
def test_texts_do_not_count(name, form):
    assert changed(SAME[name], form) == normal(SOURCE, form)


@pytest.mark.parametrize("form", [COST, OTHERS], ids=["cost", "others"])
@pytest.mark.parametrize("name", OTHER)
def test_code_counts(name, form):
    assert changed(OTHER[name], form) != normal(SOURCE, form)


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_count_for_costs_alone(name):
    assert changed(FORMULAS[name], COST) != normal(SOURCE, COST)
    assert changed(FORMULAS[name]) == normal(SOURCE)


def test_another_class_called_card_is_code():
    source = "Mine.parts = Card(1)\n"
    assert normal(source, names=lambda _: None) == source.strip()


def test_docstrings_that_are_read_stay():
    source = 'def f():\n    """Text."""\n    import math'
    assert "Text." in str(normal(source, NormalForm(docstrings=True)))
    assert normal(source) == "def f():\n    pass"


@pytest.mark.parametrize(
    "body", ['"""Nothing."""', "pass", "...", "import math", "from math import exp"]
)
@pytest.mark.parametrize("head", ["class Empty:", "def f():", "if x:", "for x in y:", "with x:"])
def test_a_body_that_nothing_is_left_of(head, body):
    assert normal(f"{head}\n    {body}\n") == f"{head}\n    pass"


def test_nothing_is_left_of_an_import():
    assert normal("import math") is None


@pytest.mark.parametrize(
    "source", ["def f(x: {}) -> {}: return x", "async def f(x: {}) -> {}: return x", "x: {} = 1"]
)
def test_annotations_as_text(source):
    assert normal(source.format(*2 * ["'list[int]'"])) == normal(source.format(*2 * ["list[int]"]))
