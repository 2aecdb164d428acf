"""A term is found by its name, by the head of a column, or by a word that its definition defines.

Run this file to write the page of terms anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from attnbench.errors import UnknownNameError
from attnbench.reports.tables.terms import TERMS, find_terms
from attnbench.utils.escape import markdown

PAGE = Path(__file__).parents[3] / "docs" / "terms.md"
INTRODUCTION = "The words of the tables, as `attnbench explain TERM` prints them."


@pytest.mark.parametrize(
    ("word", "terms"),
    [
        ("overhead", ["overhead"]),
        ("MACs", ["macs"]),
        ("+macs", ["macs"]),
        ("p99", ["median"]),
        ("images/s", ["throughput"]),
        ("slower", ["overhead"]),
        ("inconclusive", ["overhead", "accuracy"]),
        ("explained", ["printed"]),
    ],
)
def test_terms_of_words(word, terms):
    assert find_terms(word) == terms


def test_an_unknown_word_has_near_names():
    with pytest.raises(UnknownNameError, match=r"'overhaed'\. Did you mean 'overhead'"):
        find_terms("overhaed")


def test_terms_that_tables_point_to_are_defined():
    assert {"macs", "overhead", "accuracy", "printed", "trust", "median", "bytes"} <= TERMS.keys()


def page():
    """The page of terms: one paragraph each."""
    items = (f"**{term}** {markdown(text)}" for term, text in TERMS.items())
    return "\n\n".join(["# Terms", INTRODUCTION, *items]) + "\n"


def test_the_page_has_the_terms():
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
