from __future__ import annotations

import re

import pytest

from attnbench.utils.escape import latex, markdown

NASTY = r"""a|b & 50% of $x_1$ <b>"q"</b> #1 ~ ^ \cmd{y} `c` *z* [l](u) 'é' × ✓ ≥ 中"""
ESCAPED = re.compile(r"\\[&%$#_{}]|\\[a-zA-Z]+\{\}|\$(\\[a-z]+|\^[23]|-)\$|\{[\[\]*]\}")


def test_latex_leaves_no_special_character():
    rest = ESCAPED.sub("", latex(NASTY))
    assert not set(rest) & set(r"\{}&%$#_~^<>|\"`[]*")
    assert rest.isascii() or set(rest) - set(map(chr, range(128))) == {"é"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50%", r"50\%"),
        ("a_b", r"a\_b"),
        ("x^2", r"x\textasciicircum{}2"),
        ("\\", r"\textbackslash{}"),
        ("A²-Net", "A$^2$-Net"),
        ("3×3", r"3$\times$3"),
        ("✓", r"$\checkmark$"),
        ("≥ 4", r"$\geq$ 4"),
        ("1–2", "1--2"),
        ("中", "U+4E2D"),
        ("two\n\nlines\x00", "two lines"),
        ("* [1]", "{*} {[}1{]}"),
    ],
)
def test_latex(text, expected):
    assert latex(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("2m*h*w", r"2m\*h\*w"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("_x_", r"\_x\_"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[l](u)", r"\[l\](u)"),
        ("$x$", r"\$x\$"),
        ("a\\|b", r"a\\\|b"),
        ("one\r\ntwo", "one two"),
        ("`c`", r"\`c\`"),
    ],
)
def test_markdown(text, expected):
    assert markdown(text) == expected
