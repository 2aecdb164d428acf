"""A report embedded in a Markdown file, between two comments."""

from __future__ import annotations

import re
from pathlib import Path

from attnbench.errors import RequestError
from attnbench.utils.files import replace_file

BEGIN = "<!-- attnbench overview -->"
END = "<!-- /attnbench overview -->"
_BETWEEN = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)


def with_report(text: str, report: str, name: str) -> str:
    """Return a file's text with the report in place of the text between the comments.

    Args:
        text: the file's content.
        report: the report, in Markdown.
        name: the file's name, for the error message.

    Raises:
        RequestError: there are not exactly two such comments, one after the other.
    """
    if text.count(BEGIN) != 1 or len(_BETWEEN.findall(text)) != 1:
        raise RequestError(
            f"{name} has no place for the overview; put the lines {BEGIN} and {END} where it goes"
        )
    return _BETWEEN.sub(lambda match: f"\n{report.strip()}\n\n", text)


def read(path: Path) -> str:
    """Return a Markdown file's text, with line endings normalized to newlines.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error


def write(path: Path, text: str) -> None:
    """Replace a file's text, and keep its line endings, its mode and any symbolic link.

    Raises:
        RequestError: the file cannot be written.
    """
    try:
        real = path.resolve()
        mode, returns = real.stat().st_mode, b"\r\n" in real.read_bytes()
        replace_file(real, text.replace("\n", "\r\n") if returns else text)
        real.chmod(mode)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error}") from error
