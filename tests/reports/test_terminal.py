"""Blocks as lines: nothing is longer than the terminal but what is to be copied."""

import pytest

from attnbench.reports.document import CodeBlock, Equations, Formula, Items, Rows
from attnbench.reports.terminal import block_lines

LONG = "words that go on for longer than one line of the terminal has room for, and then some more"


def test_labels_and_texts_stand_in_columns():
    lines = list(block_lines(Rows((("a", LONG), ("a_longer_label", "short"))), 60))
    assert lines[0].startswith("  a               words that")
    assert lines[1].startswith(" " * 18 + "of")
    assert lines[-1] == "  a_longer_label  short"


def test_a_label_that_leaves_no_room_stands_above():
    lines = list(block_lines(Rows((("spatial.branch.0.bias" * 2, LONG),)), 60))
    assert lines[0] == "  " + "spatial.branch.0.bias" * 2
    assert lines[1].startswith("      words")


def test_items_hang_at_their_dashes():
    lines = list(block_lines(Items((LONG, "one"), "Because:"), 60))
    assert lines[0] == "  Because:"
    assert lines[1].startswith("  - words") and lines[2].startswith("    ")
    assert lines[-1] == "  - one"


def test_shapes_stand_below_each_other_and_prose_across():
    text = "y = x        (B, C)\nlonger = x   (B, D)\nwhere x is\nthe input"
    lines = list(block_lines(Formula(text), 60))
    assert lines == ["  y = x       (B, C)", "  longer = x  (B, D)", "  where x is the input"]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "block", [Rows((("label", LONG),)), Items((LONG,), LONG), Formula(f"y = x   {LONG}")]
)
def test_lines_fit(block, width):
    lines = list(block_lines(block, width))
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    assert " ".join(" ".join(lines).split()).count(LONG.split()[-2]) >= 1


def test_what_is_copied_is_not_wrapped():
    assert list(block_lines(CodeBlock(f"{LONG}\n  b", "bibtex"), 40)) == ["", f"  {LONG}", "    b"]
    assert list(block_lines(Equations("y = x"), 40)) == ["", "  \\[", "    y = x", "  \\]"]
