"""Limits as they are written."""

import pytest

from attnbench.choosing.request import parse_limit
from attnbench.errors import RequestError


@pytest.mark.parametrize(
    ("text", "added"), [("5%", 50), ("0.5%", 5), ("20k", 20_000), ("1.5M", 1_500_000), ("7", 7)]
)
def test_a_limit_is_a_share_or_a_number(text, added):
    assert parse_limit("--max-params", text).most_added(1000) == pytest.approx(added)


@pytest.mark.parametrize("text", ["", "5 percent", "-3%", "k"])
def test_a_malformed_limit_is_refused(text):
    with pytest.raises(RequestError, match="--max-params is malformed"):
        parse_limit("--max-params", text)


def test_an_overhead_is_a_percentage():
    with pytest.raises(RequestError) as error:
        parse_limit("--max-overhead", "0.05", share=True)
    assert str(error.value) == (
        "--max-overhead is malformed: got '0.05'. Write a percentage such as 5%"
    )
