"""Texts of errors: one line each, of a bounded length."""

import pytest

from attnbench.records.format import Record
from attnbench.utils.text import describe, first_line, shorten

LONG = "x" * 50_000_000


def test_a_short_text_stays():
    text = "y" * 2000
    assert shorten(text) is text


def test_of_a_long_text_the_rest_is_counted():
    short = shorten(LONG)
    assert short == "x" * 1950 + " ... (49,998,050 more characters)"
    assert shorten(short) is short


@pytest.mark.parametrize("shown", [describe, first_line])
def test_a_long_error_is_cut(shown):
    error = ValueError(LONG + "\nmore")
    assert len(shown(error)) < 2000 and shown(error).endswith(" more characters)")


def test_a_record_holds_no_long_reason():
    given = {"case": "cost/a", "kind": "cost", "status": "failed", "hash": "1", "conditions": {}}
    record = Record(**given, reason=LONG)
    assert record.reason == shorten(LONG)
    assert Record(**record.model_dump()) == record
    assert Record(**given).reason is None
