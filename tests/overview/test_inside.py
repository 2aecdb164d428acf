"""A report between two comments of a Markdown file."""

import pytest

from attnbench.errors import RequestError
from attnbench.overview.inside import BEGIN, END, read, with_report, write

PAGE = f"# Mine\n\n{BEGIN}\nold\n{END}\n\nMore.\n"


def test_what_stands_between_is_replaced_and_nothing_else():
    assert with_report(PAGE, "new", "x") == f"# Mine\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore.\n"


def test_twice_is_once():
    once = with_report(PAGE, r"new \1 \g<0>", "x")
    assert r"new \1 \g<0>" in once
    assert with_report(once, r"new \1 \g<0>", "x") == once


def test_the_first_time_there_is_nothing_between():
    assert "new" in with_report(f"{BEGIN}\n{END}\n", "new", "x")


@pytest.mark.parametrize(
    "text",
    ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n" * 2],
    ids=["none", "no end", "turned round", "two"],
)
def test_no_place_for_it_says_how_to_make_one(text):
    with pytest.raises(RequestError, match="put the lines") as error:
        with_report(text, "new", "README.md")
    assert "README.md" in str(error.value)


def test_files(tmp_path):
    path = tmp_path / "page.md"
    with pytest.raises(RequestError, match="cannot be read"):
        read(path)
    write(path, PAGE)
    assert read(path) == PAGE
    with pytest.raises(RequestError, match="cannot be written"):
        write(tmp_path / "no" / "page.md", PAGE)
