"""A term is found by its name, by the head of a column, or by a word that its definition defines."""

from __future__ import annotations

import pytest

from attnbench.errors import UnknownNameError
from attnbench.reports.tables.terms import TERMS, find_terms


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
