"""A report between two comments of a Markdown file."""

import pytest

from attnbench.errors import RequestError
from attnbench.reports.overview.markdown_block import BEGIN, END, read, with_report, write

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
    path.write_text("older\n")
    write(path, PAGE)
    assert read(path) == PAGE
    with pytest.raises(RequestError, match="cannot be written"):
        write(tmp_path / "no" / "page.md", PAGE)


def test_line_ends_and_links_and_modes_stay(tmp_path):
    path, link = tmp_path / "page.md", tmp_path / "link.md"
    path.write_bytes(PAGE.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, with_report(read(link), "new", "x"))
    assert path.read_bytes().startswith(b"# Mine\r\n\r\n")
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
