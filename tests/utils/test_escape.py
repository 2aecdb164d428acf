from __future__ import annotations

import json
import re
import sys
import unicodedata

import pytest

from attnbench.utils.escape import (
    csv_cell,
    json_text,
    latex,
    markdown,
    markdown_code,
    markdown_prose,
    visible,
)

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
        ("A²-Net", r"A\texttwosuperior{}-Net"),
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
        ("of @name, (@org/team)", "of @&#8203;name, (@&#8203;org/team)"),
        ("<@name>", "&lt;@&#8203;name&gt;"),
        ("a@b.c, @family:x @ @", "a@b.c, @&#8203;family:x @ @"),
        ("red \x1b[31m", r"red \[31m"),
        ("back \u202e", r"back \\u202e"),
    ],
)
def test_markdown(text, expected):
    assert markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cost/alone/se/8x8x8", "`cost/alone/se/8x8x8`"),
        ("@name", "`@name`"),
        ("a`@name`", r"<code>a\`@name\`</code>"),
        ("a|<b>", r"<code>a\|&lt;b&gt;</code>"),
        ("two\nlines\u2066", r"`two lines\u2066`"),
    ],
)
def test_markdown_code(text, expected):
    assert markdown_code(text) == expected


def test_exactly_what_cannot_be_seen_is_escaped():
    """Unicode's own categories; what it has not assigned yet may be of any."""
    characters = set(map(chr, range(sys.maxunicode + 1)))
    changed = {character for character in characters if visible(character) != character}
    hidden = {
        character
        for character in characters - {"\t", "\n"}
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }
    assert hidden <= changed
    assert {unicodedata.category(character) for character in changed - hidden} <= {"Cn"}
    assert all(visible(character).isascii() for character in changed)


def test_visible_escapes():
    text = "\x1b]0;owned\x07 \x9b31m a\tb\nc\r \u202e \udcff \U000e0041 \u00a0é中🙂"
    assert visible(text) == (
        r"\x1b]0;owned\x07 \x9b31m " + "a\tb\n" + r"c\r \u202e \udcff \U000e0041 " + "\u00a0é中🙂"
    )


def test_json_of_any_text_is_equal_when_read():
    document = {"a": ["\x1b[31m\x9b\x7f\u202e\udcff\U000e0041é🙂", 1.5, None]}
    text = json_text(document)
    assert json.loads(text) == document
    assert visible(text) == text and "é🙂" in text
    assert json_text({"a": [1]}) == json.dumps({"a": [1]}, indent=2)


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://x","y")',
        "@SUM(1)",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "\t=1",
        "＝1",
        "+",
        "--x",
    ],
)
def test_a_formula_becomes_text_in_csv(text):
    assert csv_cell(text) == f"'{text}"
    assert csv_cell("\r=1") == r"'\r=1"


@pytest.mark.parametrize(
    "value",
    [
        "-3",
        "+2.9%",
        "-2.9 %",
        "+0.03",
        "-1e-05",
        "1,000",
        "-",
        "--",
        "se",
        "a=b",
        "",
        None,
        -3,
        -0.5,
        True,
    ],
)
def test_numbers_and_other_texts_stay_in_csv(value):
    assert csv_cell(value) is value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Run `attnbench run a_b` first.", "Run `attnbench run a_b` first."),
        ("a * b", r"a \* b"),
        ("`x`: *y* and `z`", r"`x`: \*y\* and `z`"),
        ("one ` alone", r"one \` alone"),
        ("(`a|b`)", r"(<code>a\|b</code>)"),
        ("", ""),
    ],
)
def test_what_stands_in_backticks_is_code(text, expected):
    assert markdown_prose(text) == expected
