"""What changes the hash of a latency or an accuracy: code, and what of a card decides."""

import pytest

from attnbench.plugins import catalog
from attnbench.records.sentences import without_sentences
from attnbench.records.sources import source_hashes

SOURCE = '''"""A module."""
from attnbench.cards import Card


class Mine:
    """What it does."""

    def forward(self, x):
        """Return x."""
        return x * 2  # why


Mine.card = Card(title="A", traps=("One.",), official={"*": "after:all"}, version=1)
'''

SAME = {
    "comment": ("# why", "# because"),
    "docstring of the file": ('"""A module."""', '"""Another."""'),
    "docstring of the class": ("What it does.", "What it is for."),
    "docstring of a function": ("Return x.", "Return it."),
    "title": ('title="A"', 'title="B"'),
    "trap": ('("One.",)', '("One.", "Two.")'),
    "layout": ("x * 2", "(x  *  2)"),
}
OTHER = {
    "code": ("x * 2", "x * 3"),
    "place": ("after:all", "after:14"),
    "version": ("version=1", "version=2"),
}


def changed(pair):
    assert pair[0] in SOURCE
    return without_sentences(SOURCE.replace(*pair).encode())


@pytest.mark.parametrize("name", SAME)
def test_sentences_do_not_count(name):
    assert changed(SAME[name]) == without_sentences(SOURCE.encode())


@pytest.mark.parametrize("name", OTHER)
def test_code_counts(name):
    assert changed(OTHER[name]) != without_sentences(SOURCE.encode())


def test_a_class_of_ones_own_called_card_is_code():
    source = "class Card:\n    pass\n\nMine.parts = Card(1)\n"
    assert without_sentences(source.encode()) != without_sentences(
        source.replace("1", "2").encode()
    )


def test_docstrings_that_are_read_count():
    source = 'def f():\n    """1"""\n    return int(f.__doc__)\n'
    assert without_sentences(source.encode()) != without_sentences(
        source.replace("1", "2").encode()
    )


def test_what_is_too_deep_counts_as_it_is():
    source = b"x = 1" + b" + 1" * 20_000
    assert without_sentences(source) == source


def test_what_is_no_python_counts_as_it_is():
    assert without_sentences(b"def (") == b"def ("


def test_a_docstring_alone_leaves_a_body():
    compile(without_sentences(b'class Empty:\n    """Nothing."""\n'), "x", "exec")


def test_the_engine_behind_a_card_does_not_count():
    se = catalog().modules.get("se")
    assert any(key.startswith("attnbench/") for key in source_hashes(se))
    assert set(source_hashes(se, sentences=False)) >= {"attnbench_modules/se.py"}
    assert not [key for key in source_hashes(se, sentences=False) if key.startswith("attnbench/")]
