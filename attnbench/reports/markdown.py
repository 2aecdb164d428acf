"""Documents as GitHub Markdown, for pages and pull request comments."""

from __future__ import annotations

from collections.abc import Iterable

from attnbench.reports.document import (
    Block,
    Equations,
    Folded,
    Formula,
    Grid,
    Heading,
    Items,
    Lines,
    Rows,
)
from attnbench.utils.escape import EscapedText, markdown


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as Markdown, separated by blank lines."""
    return f"{_joined(blocks)}\n"


def _joined(blocks: Iterable[Block]) -> str:
    return "\n\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_escaped(text)}" if level else f"**{_escaped(text)}**"
        case Rows(rows):
            return "\n".join(_row(label, text) for label, text in rows)
        case Items(texts, head):
            items = "\n".join(f"- {_escaped(text)}" for text in texts)
            return "\n\n".join(part for part in (_escaped(head), items) if part)
        case Grid(head, cells):
            lines = [f"| {' | '.join(map(_escaped, row))} |" for row in cells]
            return "\n".join([head, *lines])
        case Folded(title, blocks):
            return f"<details><summary>{title}</summary>\n\n{_joined(blocks)}\n\n</details>"
        case Formula(text):
            return _fence("text", text)
        case Equations():
            return _fence("math", block.mathematics())
        case Lines(lines):
            return _fence("text", "\n".join(lines))
    return _fence(block.language, block.text)


def _escaped(text: str) -> EscapedText:
    return text if isinstance(text, EscapedText) else markdown(text)


def _row(label: str, text: str) -> str:
    """Return a list item, with a label that is code formatted as code."""
    if not label:
        return f"  {markdown(text)}"
    name = f"`{label}`" if set("=._") & set(label) else markdown(label)
    return f"- {name}: {markdown(text)}"


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
