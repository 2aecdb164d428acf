"""Formulas for LaTeX: one equation in display mode, several below each other; and Markdown of any text."""

import pytest
from matplotlib.mathtext import MathTextParser

from attnbench.reports.document import (
    CodeBlock,
    Equations,
    Heading,
    Items,
    Lines,
    Rows,
    to_markdown,
)


def display(tex):
    return Equations(tex).display()


def mathematics(tex):
    return Equations(tex).mathematics()


def test_one_equation_is_set_alone():
    assert display("y = x") == "\\[\n  y = x\n\\]"
    assert mathematics("y = x\n") == "y = x"


def test_several_stand_at_their_equals_signs():
    assert display("s = \\sigma(x)\ny = s x") == (
        "\\begin{align*}\n  s &= \\sigma(x) \\\\\n  y &= s x\n\\end{align*}"
    )
    assert mathematics("a = b\nb = c").startswith("\\begin{aligned}\n  a &= b \\\\\n")


@pytest.mark.parametrize(
    ("line", "aligned"),
    [
        (r"\sum_{i=1}^{N} x_i = z", r"\sum_{i=1}^{N} x_i &= z"),
        (r"f(n=1) = x", r"f(n=1) &= x"),
        (r"\left[a=b\right] = c", r"\left[a=b\right] &= c"),
        (r"x \le y", r"& x \le y"),
    ],
)
def test_equals_signs_in_brackets_are_passed_over(line, aligned):
    assert f"  {aligned} \\\\\n" in display(f"{line}\ny = x")


def test_an_environment_of_its_own_stays_in_one_piece():
    own = "y = \\begin{cases}\n  x & a = b \\\\\n  0\n\\end{cases}"
    assert display(own) == f"\\[\n  {own}\n\\]"


def test_the_parser_that_the_cards_are_tested_with_refuses_what_is_wrong():
    with pytest.raises(ValueError, match="sqr"):
        MathTextParser("path").parse(r"$\sqr{x}$")


def test_no_text_leaves_its_block_of_code():
    written = to_markdown([Lines(["a", "```", "@name", "`````", "b"]), CodeBlock("x", "sh")])
    assert written == "``````text\na\n```\n@name\n`````\nb\n``````\n\n```sh\nx\n```\n"


def test_format_characters_are_visible_everywhere():
    blocks = [Heading("a\u202e"), Lines(["b\x1b"]), Items(("c\u200b",)), Rows((("d=\x9b", "e"),))]
    assert to_markdown(blocks).isascii() and "\x1b" not in to_markdown(blocks)
