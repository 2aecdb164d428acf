"""Blocks as lines: nothing is longer than the terminal but what is to be copied."""

import pytest

from attnbench.reports.document import CodeBlock, Equations, Formula, Items, Lines, Rows
from attnbench.reports.terminal import block_lines
from attnbench.reports.verdict_words import color_verdicts, verdict_text

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


def test_lines_hang_at_their_indent_unless_they_are_copied():
    line = f"    {LONG}"
    wrapped = list(block_lines(Lines([line, "short"]), 60))
    assert max(map(len, wrapped)) <= 60 and wrapped[-1] == "short"
    assert wrapped[1].startswith("      ") and " ".join(" ".join(wrapped).split()).startswith(LONG)
    assert list(block_lines(Lines([line], is_code=True), 60)) == [line]


@pytest.mark.parametrize(
    ("text", "colored"),
    [
        ("2 regressions, 96 unchanged", "regressions"),
        ("no regressions, 3 improvements", "improvements"),
        ("+4.2% slower", "slower"),
    ],
)
def test_verdicts_are_colored_and_numbers_are_not(text, colored):
    shown = color_verdicts(text)
    assert shown.plain == text
    assert [text[span.start : span.end] for span in shown.spans if span.style] == [colored]


@pytest.mark.parametrize(
    ("verdict", "text", "style"),
    [
        ("slower", "▲ slower", "red"),
        ("faster", "▼ faster", "green"),
        ("same within 2.1%", "= same within 2.1%", ""),
        ("inconclusive, about 4 more seeds needed", "? inconclusive, about 4 more", "yellow"),
        ("no verdict: smoke test", "? no verdict: smoke test", "yellow"),
        ("no", "✗ no", "red"),
        ("failed", "✗ failed", "red"),
        ("skipped", "skipped", "dim"),
    ],
)
def test_marks_and_colors_of_verdicts(verdict, text, style):
    shown = verdict_text(verdict, marked=True)
    assert shown.plain.startswith(text) and shown.style == style
    assert verdict_text(verdict, marked=False).plain == verdict
